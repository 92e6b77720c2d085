"""Parameters of a network: fresh ones, and what shape each has."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from flax.traverse_util import flatten_dict

from neuralizer_jax.unet import UNet

# A nested dict of arrays, `model.apply({"params": params}, ...)`.
Params = dict[str, Any]


def init_params(model: nn.Module, key: jax.Array) -> Params:
    """Fresh parameters of a `Neuralizer` or `UNet`, drawn as PyTorch's convolutions are (uniform, +-1/sqrt(fan_in))."""
    # The smallest arrays that the model takes; its parameters do not depend on their sizes.
    size = (2 ** (model.stages - 1),) * model.dim
    shapes = [(1, *size, model.in_channels)]
    if not isinstance(model, UNet):
        shapes += [(1, 1, *size, model.in_channels), (1, 1, *size, model.out_channels)]
    return jax.jit(model.init)(key, *(np.zeros(shape, np.float32) for shape in shapes))["params"]


def param_shapes(model: nn.Module) -> dict[tuple[str, ...], tuple[int, ...]]:
    """Shape of every parameter of a model by its path, found without computing anything."""
    params = jax.eval_shape(partial(init_params, model), jax.eval_shape(lambda: jax.random.key(0)))
    return {key: value.shape for key, value in flatten_dict(params).items()}
