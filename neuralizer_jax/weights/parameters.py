"""Parameters of a network: fresh ones, and the shape of each."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict

from neuralizer_jax.unet import UNet

# A nested dict of arrays, `model.apply({"params": params}, ...)`.
Params = dict[str, Any]


def init_params(model: nn.Module, key: jax.Array) -> Params:
    """Fresh parameters of a `Neuralizer` or `UNet`, distributed as in PyTorch: uniform in +-1/sqrt(fan_in).

    Example:
        >>> from neuralizer_jax import Neuralizer
        >>> params = init_params(Neuralizer(features=8, stages=2), jax.random.key(0))
        >>> params["target_embedding"]["kernel"].shape
        (3, 8)
    """
    return _float32(model).lazy_init(key, *_smallest_inputs(model))["params"]


def param_shapes(model: nn.Module) -> dict[tuple[str, ...], tuple[int, ...]]:
    """Shape of every parameter by its path, in alphabetical order, found without computing anything.

    Example:
        >>> from neuralizer_jax import UNet
        >>> shapes = param_shapes(UNet(features=8, stages=2))
        >>> shapes["enc_blocks_0", "layers_0", "kernel"]
        (3, 3, 8, 8)
    """
    key = jax.eval_shape(lambda: jax.random.key(0))
    params = jax.eval_shape(_float32(model).init, key, *_smallest_inputs(model))["params"]
    return {path: value.shape for path, value in sorted(flatten_dict(params).items())}


def _float32(model):
    """The model without the settings that change how it computes but not its parameters."""
    return model.clone(dtype=None, remat=False)


def _smallest_inputs(model):
    size = (2 ** (model.stages - 1),) * model.dim
    shapes = [(1, *size, model.in_channels)]
    if not isinstance(model, UNet):
        shapes += [(1, 1, *size, model.in_channels), (1, 1, *size, model.out_channels)]
    return [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
