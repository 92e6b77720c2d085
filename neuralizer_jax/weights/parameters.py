"""Parameters of a network: fresh ones, and what shape each has."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from neuralizer_jax.layers import stage_widths
from neuralizer_jax.model import MemberMean, Neuralizer, PairwiseConvAvg
from neuralizer_jax.unet import UNet

# A nested dict of arrays, `model.apply({"params": params}, ...)`.
Params = dict[str, Any]


def init_params(model: nn.Module, key: jax.Array) -> Params:
    """Fresh parameters of a `Neuralizer` or `UNet`, drawn as PyTorch's convolutions are (uniform, +-1/sqrt(fan_in)).

    A block or aggregation of one's own draws its parameters itself.
    """
    if isinstance(model, Neuralizer) and (model.block, model.aggregation) != (PairwiseConvAvg, MemberMean):
        return jax.jit(partial(_init, model))(key)
    # What `_init` does, with one draw that is cut up: a hundred draws take ten seconds to compile.
    shapes = param_shapes(model)
    sizes = [math.prod(shape) for shape in shapes.values()]
    numbers = np.asarray(jax.random.uniform(key, (sum(sizes),), jnp.float32, -1, 1))
    params = {}
    for (path, shape), part in zip(shapes.items(), np.split(numbers, np.cumsum(sizes)[:-1]), strict=True):
        fan_in = math.prod(shapes[(*path[:-1], "kernel")][:-1])
        params[path] = jnp.asarray(part.reshape(shape) / np.float32(fan_in**0.5))
    return unflatten_dict(params)


def param_shapes(model: nn.Module) -> dict[tuple[str, ...], tuple[int, ...]]:
    """Shape of every parameter of a model by its path, in alphabetical order, found without computing anything."""
    if isinstance(model, Neuralizer) and (model.block, model.aggregation) == (PairwiseConvAvg, MemberMean):
        return dict(sorted(_published_shapes(model)))
    return _traced_shapes(model)


def _traced_shapes(model: nn.Module) -> dict[tuple[str, ...], tuple[int, ...]]:
    params = jax.eval_shape(partial(_init, model), jax.eval_shape(lambda: jax.random.key(0)))
    return {key: value.shape for key, value in flatten_dict(params).items()}


def _published_shapes(model: Neuralizer) -> Iterator[tuple[tuple[str, ...], tuple[int, ...]]]:
    """What tracing the published blocks would find, which takes a third of a second of every prediction's start."""

    def layer(*path: str, kernel: tuple[int, ...]):
        yield (*path, "kernel"), kernel
        yield (*path, "bias"), kernel[-1:]

    def unit(*path: str, width: int):
        for conv in range(model.convs):
            yield from layer(*path, f"layers_{conv}", kernel=(3,) * model.dim + (width, width))

    widths = stage_widths(model.features, model.stages)
    coarse_to_fine = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
    channels = {"target": model.in_channels, "context": model.in_channels + model.out_channels}
    blocks = [(f"enc_blocks_{stage}", width) for stage, width in enumerate(widths)]
    blocks += [(f"dec_blocks_{stage}", width) for stage, (_, width) in enumerate(coarse_to_fine)]
    for side in ("target", "context"):
        yield from layer(f"{side}_embedding", kernel=(channels[side], widths[0]))
        for block, width in blocks:
            yield from unit(block, f"{side}_conv", width=width)
            yield from layer(block, f"combine_conv_{side}", kernel=(2 * width, width))
        for stage, (coarse, fine) in enumerate(coarse_to_fine):
            yield from layer(f"{side}_merge_{stage}", kernel=(coarse + fine, fine))
        for stage, (coarse, fine) in enumerate(reversed(coarse_to_fine)):
            if coarse != fine:
                window = (4,) * model.dim
                yield from layer(f"{side}_down_{stage}", "linear_layer", kernel=(*window, fine, coarse))
    yield from unit("output_block", "unit", width=widths[0])
    yield from layer("output_block", "projection", kernel=(widths[0], model.out_channels))


def _init(model: nn.Module, key: jax.Array) -> Params:
    # The smallest arrays that the model takes; its parameters do not depend on their sizes.
    size = (2 ** (model.stages - 1),) * model.dim
    shapes = [(1, *size, model.in_channels)]
    if not isinstance(model, UNet):
        shapes += [(1, 1, *size, model.in_channels), (1, 1, *size, model.out_channels)]
    return model.init(key, *(np.zeros(shape, np.float32) for shape in shapes))["params"]
