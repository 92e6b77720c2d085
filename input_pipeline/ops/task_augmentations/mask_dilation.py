"""Segmentation of the structure with a margin around it."""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from input_pipeline.ops.filters import squared_distance
from input_pipeline.ops.registry import Parameters, TaskAugmentation, nothing_own, register_task_augmentation
from neuralizer_jax.errors import InputError

_WIDEST = 6

DEFAULTS = {"radius": (1, 5)}  # pixels, whole numbers


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """Samples the margin in pixels, int32. Raises InputError if its range is not within 1 to 6."""
    low, high = config.radius
    if not 1 <= low <= high <= _WIDEST:
        raise InputError(f"mask_dilation.radius is {low} to {high}, expected a range of pixels within 1 to {_WIDEST}")
    return jax.random.randint(key, (), low, high + 1)


def apply(shared: Parameters, own: Parameters, images: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Dilates the mask `[H, W, 1]` by the margin; the input `[H, W, 3]` does not change."""
    near = squared_distance(mask[..., 0], _WIDEST, beyond=False) <= shared**2
    return images, near[..., None].astype(jnp.float32)


register_task_augmentation(
    TaskAugmentation("mask_dilation", "output", lambda task: task.is_segmentation, DEFAULTS, sample, nothing_own, apply)
)
