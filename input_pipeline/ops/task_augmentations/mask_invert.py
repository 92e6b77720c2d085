"""Segmentation of everything but the structure."""

import jax

from input_pipeline.ops.registry import (
    Parameters,
    TaskAugmentation,
    nothing_own,
    nothing_shared,
    register_task_augmentation,
)


def apply(shared: Parameters, own: Parameters, images: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Replaces the mask `[H, W, 1]` by 1 - mask; the input `[H, W, 3]` does not change."""
    return images, 1 - mask


register_task_augmentation(
    TaskAugmentation("mask_invert", "output", lambda task: task.is_segmentation, {}, nothing_shared, nothing_own, apply)
)
