"""Modality transfer: an image -> another modality of the same subject."""

import jax

from input_pipeline.ops.registry import Parameters, Task, nothing_own, nothing_shared, register_task
from input_pipeline.ops.tasks.input_channels import input_channels


def apply(shared: Parameters, own: Parameters, images: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Input: the first image. Output: the second."""
    return input_channels(images[..., 0]), images[..., 1:2]


register_task(Task("modality_transfer", "two images", {}, nothing_shared, nothing_own, apply))
