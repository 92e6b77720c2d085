"""Replaces an image by its edges."""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from input_pipeline.ops.filters import is_mask
from input_pipeline.ops.registry import Parameters, TaskAugmentation, nothing_own, register_task_augmentation

# A slope of 1 / _GAIN per pixel has intensity 1.
_GAIN = 3.5


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """Samples whether the output is filtered (True) or the input."""
    return jax.random.bernoulli(key)


def apply(shared: Parameters, own: Parameters, images: jax.Array, output: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Filters input `[H, W, 3]` or output `[H, W, 1]`. If the output is a mask, the input is filtered."""
    on_output = shared & ~is_mask(output)
    return jnp.where(on_output, images, edges(images)), jnp.where(on_output, edges(output), output)


def edges(images: jax.Array) -> jax.Array:
    """Gradient magnitude of each channel `[H, W, C]` by Sobel's filter, times a constant, clipped to 1.

    The constant does not depend on the image, so the edges of different images can be compared.
    """
    wide = jnp.pad(images, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    columns = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    across, down = rows[:, 2:] - rows[:, :-2], columns[2:] - columns[:-2]
    return jnp.minimum(jnp.sqrt(across**2 + down**2) * (_GAIN / 8), 1)


register_task_augmentation(TaskAugmentation("sobel_filter", "both", lambda task: True, {}, sample, nothing_own, apply))
