"""Modality transfer from two images at once: two modalities -> a third one of the same subject."""

import jax

from input_pipeline.ops.registry import Parameters, Task, nothing_own, nothing_shared, register_task
from input_pipeline.ops.tasks.input_channels import input_channels


def apply(shared: Parameters, own: Parameters, images: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Input: the first two images. Output: the third."""
    return input_channels(images[..., 0], images[..., 1]), images[..., 2:]


register_task(Task("two_modality_transfer", "three images", {}, nothing_shared, nothing_own, apply))
