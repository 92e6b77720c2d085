"""Intensities through a random curve that need not rise: dark tissue may come out brighter than bright one."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from input_pipeline.ops.filters import is_mask
from input_pipeline.ops.registry import Parameters, TaskAugmentation, nothing_own, register_task_augmentation

# Straight pieces that a curve is made of.
_PIECES = 16


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """Two curves, `[2, 17]` float32, and whether they apply: that of the input, that of the output.

    A curve goes smoothly through `nodes` values, evenly spaced over (0, 1]. They rise and fall in random steps, none of
    them small, so that contrast is left everywhere, and one at least a fall; they are stretched from `darkest` to 1. At
    0 the curve is 0 and flat: air and what was cut away stay dark, and channels not in use stay empty.
    """
    for_steps, for_direction, for_place = jax.random.split(key, 3)
    steps = jax.random.uniform(for_steps, (2, config.nodes - 1), minval=0.4)
    rises = jax.random.bernoulli(for_direction, shape=steps.shape)
    rises &= ~rises.all(1, keepdims=True)
    values = jnp.cumsum(jnp.where(rises, steps, -steps), axis=1)
    values = jnp.pad(values, ((0, 0), (1, 0)))
    values -= values.min(1, keepdims=True)
    values = config.darkest + (1 - config.darkest) * values / values.max(1, keepdims=True)
    curves = jnp.maximum(values @ _interpolation(config.nodes).T, 0)
    place = jax.random.randint(for_place, (), 0, 3)  # input, output, both
    return {
        "curves": curves / curves.max(1, keepdims=True),
        "on_input": place != 1,
        "on_output": place != 0,
    }


def apply(shared: Parameters, own: Parameters, images: jax.Array, output: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Input `[H, W, 3]` and output `[H, W, 1]`, one or both mapped; a mask stays, and the input is mapped."""
    output_is_mask = is_mask(output)
    on_input = shared["on_input"] | output_is_mask
    on_output = shared["on_output"] & ~output_is_mask
    for_input, for_output = shared["curves"]
    return (
        jnp.where(on_input, mapped(for_input, images), images),
        jnp.where(on_output, mapped(for_output, output), output),
    )


def mapped(curve: jax.Array, images: jax.Array) -> jax.Array:
    """Images in [0, 1], any shape, through a curve: its values `[17]` at even steps from 0 to 1, linear between."""
    slopes = jnp.diff(curve) * _PIECES
    bends = jnp.diff(slopes, prepend=0.0)
    # A sum of ramps, one a piece: on a CPU a third of the price of looking the pieces up.
    rises = sum(bends[piece] * jnp.maximum(images - piece / _PIECES, 0) for piece in range(_PIECES))
    return jnp.clip(curve[0] + rises, 0, 1)


@lru_cache(maxsize=8)
def _interpolation(nodes: int) -> np.ndarray:
    """Matrix `[17, nodes]` float32: the curve at even steps from its values at the nodes (Catmull-Rom, flat at 0)."""
    places = np.linspace(0, nodes, _PIECES + 1)
    # Columns: the node at 0, its mirror image on either side and, beyond 1, the last node again.
    curve = np.zeros((_PIECES + 1, nodes + 1))
    for row, place in enumerate(places):
        left = min(int(place), nodes - 1)
        t = place - left
        weights = (
            (-(t**3) + 2 * t**2 - t) / 2,
            (3 * t**3 - 5 * t**2 + 2) / 2,
            (-3 * t**3 + 4 * t**2 + t) / 2,
            (t**3 - t**2) / 2,
        )
        for node, weight in zip(range(left - 1, left + 3), weights, strict=True):
            curve[row, min(abs(node), nodes)] += weight
    return curve[:, 1:].astype(np.float32)


register_task_augmentation(
    TaskAugmentation(
        name="intensity_mapping",
        touches="both",
        fits=lambda task: True,
        defaults={
            "nodes": 4,  # values that a curve goes through, besides 0 at 0; at least 2
            "darkest": 0.1,  # the least of them
        },
        sample=sample,
        sample_image=nothing_own,
        apply=apply,
    )
)
