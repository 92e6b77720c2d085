"""Weights: files in, a model and its parameters out, and back.

The names are loaded on first use, so that the command line finds weights by name without importing JAX.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuralizer_jax.weights.parameters import init_params, param_shapes
    from neuralizer_jax.weights.weights_file import Weights, load_weights, read_weights, save_weights

__all__ = ["Weights", "init_params", "load_weights", "param_shapes", "read_weights", "save_weights"]


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "parameters" if name in ("init_params", "param_shapes") else "weights_file"
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
