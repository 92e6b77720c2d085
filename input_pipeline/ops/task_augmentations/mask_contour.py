"""Segmentation of the outline of the structure."""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from input_pipeline.ops.filters import squared_distance
from input_pipeline.ops.registry import Parameters, TaskAugmentation, nothing_own, register_task_augmentation
from neuralizer_jax.errors import InputError

_WIDEST = 6

DEFAULTS = {"width": (1, 4)}  # pixels, whole numbers


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """Samples the width of the outline in pixels, int32. Raises InputError if its range is not within 1 to 6."""
    low, high = config.width
    if not 1 <= low <= high <= _WIDEST:
        raise InputError(f"mask_contour.width is {low} to {high}, expected a range of pixels within 1 to {_WIDEST}")
    return jax.random.randint(key, (), low, high + 1)


def apply(shared: Parameters, own: Parameters, images: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Replaces the mask `[H, W, 1]` by its outline; the input `[H, W, 3]` does not change.

    Half of the width lies inside of the structure and half outside, so that small structures do not fill their outline.
    The larger part of an odd width is inside. A mask that reaches the border of the image has an outline there too.
    """
    inside, outside = (shared + 1) // 2, shared // 2
    reach = _WIDEST // 2
    near_mask = squared_distance(mask[..., 0], reach, beyond=False) <= outside**2
    near_rest = squared_distance(1 - mask[..., 0], reach, beyond=True) <= inside**2
    return images, (near_mask & near_rest)[..., None].astype(jnp.float32)


register_task_augmentation(
    TaskAugmentation("mask_contour", "output", lambda task: task.is_segmentation, DEFAULTS, sample, nothing_own, apply)
)
