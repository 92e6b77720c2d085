"""Weights of a wider network that predicts the same as a narrower one, to continue training from."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from neuralizer_jax.layers import stage_widths
from neuralizer_jax.model import MemberMean, Neuralizer, PairwiseConvAvg
from neuralizer_jax.weights.architecture import describe
from neuralizer_jax.weights.parameters import Params, param_shapes

# Random deviation of the weights of copies, relative to equal weights. Copies with equal weights would stay equal in
# training.
_SPREAD = 0.5


def widen(params: Params, wide: Neuralizer, key: jax.Array) -> Params:
    """Parameters with which `wide` predicts the same as a narrower network with `params`, up to rounding.

    Every channel is copied. The weights that read it are split over the copies in random shares that sum to 1 (Net2Net:
    Chen, Goodfellow and Shlens, ICLR 2016).

    Args:
        params: parameters of the narrower network.
        wide: the wider network; `can_widen` must hold.
        key: random key of the shares.

    Example:
        >>> from neuralizer_jax.weights import init_params
        >>> narrow, wide = Neuralizer(features=4, stages=2), Neuralizer(features=8, stages=2)
        >>> params = widen(init_params(narrow, jax.random.key(0)), wide, jax.random.key(1))
        >>> params["target_embedding"]["kernel"].shape
        (3, 8)
    """
    shapes = param_shapes(wide)
    widened = {}
    for number, (path, weight) in enumerate(sorted(flatten_dict(params).items())):
        weight = np.asarray(weight)
        features, wide_features = weight.shape[-1], shapes[path][-1]
        copied = np.concatenate([weight] * (wide_features // features), axis=-1)
        if path[-1] == "kernel" and shapes[path][-2] != weight.shape[-2]:
            # A 1x1 kernel inside the network reads two feature maps; the second one is as wide as its output.
            is_pair = weight.ndim == 2 and wide_features != features
            parts = np.split(copied, [weight.shape[-2] - features], axis=-2) if is_pair else [copied]
            keys = jax.random.split(jax.random.fold_in(key, number), len(parts))
            copies = shapes[path][-2] // weight.shape[-2]
            copied = np.concatenate([_read_copies(*part, copies) for part in zip(parts, keys, strict=True)], axis=-2)
        widened[path] = jnp.asarray(copied)
    return unflatten_dict(widened)


def can_widen(narrow: nn.Module, wide: nn.Module) -> bool:
    """Whether `widen` can make parameters of `wide` from those of `narrow`.

    Both must have the published blocks and be equal except for their features, which have the same whole ratio in every
    stage.

    Example:
        >>> can_widen(Neuralizer(features=4), Neuralizer(features=8)), can_widen(Neuralizer(4), Neuralizer(6))
        (True, False)
    """
    for model in (narrow, wide):
        if not isinstance(model, Neuralizer) or (model.block, model.aggregation) != (PairwiseConvAvg, MemberMean):
            return False
    if describe(narrow) | {"features": 0} != describe(wide) | {"features": 0}:
        return False
    before, after = (np.array(stage_widths(model.features, model.stages)) for model in (narrow, wide))
    return bool((after % before == 0).all() and (after // before == after[0] // before[0]).all())


def _read_copies(kernel: np.ndarray, key: jax.Array, copies: int) -> np.ndarray:
    """Splits the weight of each input over its copies, `[*window, in, out] -> [*window, copies * in, out]`."""
    *window, channels, features = kernel.shape
    drawn = np.asarray(jax.random.uniform(key, (*window, copies, channels, features), minval=-1.0, maxval=1.0))
    shares = (1 + _SPREAD * (drawn - drawn.mean(-3, keepdims=True))) / copies
    return (kernel[..., None, :, :] * shares).reshape(*window, copies * channels, features)
