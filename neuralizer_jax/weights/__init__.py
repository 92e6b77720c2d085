"""Weights: files in, a model and its parameters out, and back."""

from neuralizer_jax.weights.parameters import init_params, param_shapes
from neuralizer_jax.weights.weights_file import Weights, load_weights, read_weights, save_weights

__all__ = ["Weights", "init_params", "load_weights", "param_shapes", "read_weights", "save_weights"]
