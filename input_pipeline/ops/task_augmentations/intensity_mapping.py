"""Maps intensities through a random curve that may fall: dark tissue can become brighter than bright tissue."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from input_pipeline.ops.filters import is_mask
from input_pipeline.ops.registry import Parameters, TaskAugmentation, nothing_own, register_task_augmentation

# Linear pieces of a curve.
_PIECES = 16

DEFAULTS = {
    "nodes": 4,  # values of a curve, besides 0 at 0; at least 2
    "darkest": 0.1,  # the smallest of them
}


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """Samples `curves` `[2, 17]` float32 for input and output, and whether each applies: `on_input`, `on_output`.

    A curve goes smoothly through `nodes` values at even steps over (0, 1]. The values rise and fall in random steps, at
    least once down. No step is small, so contrast remains everywhere. The values are scaled to `darkest` to 1. At 0 the
    curve is 0 and flat: air and stripped regions stay dark, unused channels stay empty.
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
    """Maps input `[H, W, 3]`, output `[H, W, 1]` or both. If the output is a mask, only the input is mapped."""
    output_is_mask = is_mask(output)
    on_input = shared["on_input"] | output_is_mask
    on_output = shared["on_output"] & ~output_is_mask
    for_input, for_output = shared["curves"]
    return (
        jnp.where(on_input, mapped(for_input, images), images),
        jnp.where(on_output, mapped(for_output, output), output),
    )


def mapped(curve: jax.Array, images: jax.Array) -> jax.Array:
    """Maps images in [0, 1], of any shape, through a curve given by its values `[17]` at even steps from 0 to 1."""
    slopes = jnp.diff(curve) * _PIECES
    bends = jnp.diff(slopes, prepend=0.0)
    # A sum of one ramp a piece: on a CPU three times as fast as a table lookup.
    rises = sum(bends[piece] * jnp.maximum(images - piece / _PIECES, 0) for piece in range(_PIECES))
    return jnp.clip(curve[0] + rises, 0, 1)


@lru_cache(maxsize=8)
def _interpolation(nodes: int) -> np.ndarray:
    """Matrix `[17, nodes]` float32 from values at the nodes to the curve at even steps (Catmull-Rom, flat at 0)."""
    places = np.linspace(0, nodes, _PIECES + 1)
    # Beyond 0 the nodes are mirrored, beyond 1 the last one is repeated.
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
    TaskAugmentation("intensity_mapping", "both", lambda task: True, DEFAULTS, sample, nothing_own, apply)
)
