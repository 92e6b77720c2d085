"""Skull stripping: image of a full head -> mask of the brain."""

import jax

from input_pipeline.ops.registry import Parameters, Task, nothing_own, nothing_shared, register_task
from input_pipeline.ops.tasks.input_channels import input_channels


def apply(shared: Parameters, own: Parameters, images: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Input: the image. Output: the mask of the brain."""
    return input_channels(images[..., 0]), mask[..., None]


register_task(Task("skull_stripping", "brain mask", {}, nothing_shared, nothing_own, apply))
