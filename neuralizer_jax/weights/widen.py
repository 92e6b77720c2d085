"""A wider network that predicts what a narrower one does: weights to go on training from, instead of from nothing."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from neuralizer_jax.layers import stage_widths
from neuralizer_jax.model import MemberMean, Neuralizer, PairwiseConvAvg
from neuralizer_jax.weights.architecture import describe
from neuralizer_jax.weights.parameters import Params, param_shapes

# Layers whose input is two feature maps, one behind the other (`layers.PointwiseConv`).
_PAIRS = ("combine_conv_target", "combine_conv_context", "target_merge", "context_merge")

# How unequally the copies of a channel are read, as a share of an equal part: were they read alike, they would stay
# alike in training.
_SPREAD = 0.5


def widen(params: Params, wide: Neuralizer, key: jax.Array) -> Params:
    """Parameters with which a network predicts what a narrower one does with `params`, to rounding.

    Every channel is there several times, and what read it reads its copies in shares that sum to 1 and are drawn at
    random (Net2Net: Chen, Goodfellow and Shlens, ICLR 2016).

    Args:
        params: of the narrower network.
        wide: the network, see `can_widen`.
        key: of the random numbers.
    """
    shapes = param_shapes(wide)
    widened = {}
    for number, (path, weight) in enumerate(sorted(flatten_dict(params).items())):
        weight = np.asarray(weight)
        features, wide_features = weight.shape[-1], shapes[path][-1]
        copied = np.concatenate([weight] * (wide_features // features), axis=-1)
        if path[-1] == "kernel" and shapes[path][-2] != weight.shape[-2]:
            # Of a pair the second part is as wide as what comes out.
            is_pair = any(name.startswith(_PAIRS) for name in path)
            parts = np.split(copied, [weight.shape[-2] - features], axis=-2) if is_pair else [copied]
            keys = jax.random.split(jax.random.fold_in(key, number), len(parts))
            copies = shapes[path][-2] // weight.shape[-2]
            copied = np.concatenate([_read_copies(*part, copies) for part in zip(parts, keys, strict=True)], axis=-2)
        widened[path] = jnp.asarray(copied)
    return unflatten_dict(widened)


def can_widen(narrow: nn.Module, wide: nn.Module) -> bool:
    """Whether `widen` makes parameters of the one from those of the other.

    Both have the published blocks and are the same but for their features: in every stage the same whole multiple.
    """
    for model in (narrow, wide):
        if not isinstance(model, Neuralizer) or (model.block, model.aggregation) != (PairwiseConvAvg, MemberMean):
            return False
    if describe(narrow) | {"features": 0} != describe(wide) | {"features": 0}:
        return False
    before, after = (np.array(stage_widths(model.features, model.stages)) for model in (narrow, wide))
    return bool((after % before == 0).all() and (after // before == after[0] // before[0]).all())


def _read_copies(kernel: np.ndarray, key: jax.Array, copies: int) -> np.ndarray:
    """`[*window, in, out] -> [*window, copies * in, out]`: of each input's weight a share for each of its copies."""
    *window, channels, features = kernel.shape
    drawn = np.asarray(jax.random.uniform(key, (*window, copies, channels, features), minval=-1.0, maxval=1.0))
    shares = (1 + _SPREAD * (drawn - drawn.mean(-3, keepdims=True))) / copies
    return (kernel[..., None, :, :] * shares).reshape(*window, copies * channels, features)
