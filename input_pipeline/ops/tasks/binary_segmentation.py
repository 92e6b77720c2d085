"""Segmentation of one class: image -> mask of the class."""

import jax

from input_pipeline.ops.registry import Parameters, Task, nothing_own, nothing_shared, register_task
from input_pipeline.ops.tasks.input_channels import input_channels


def apply(shared: Parameters, own: Parameters, images: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Input: the image. Output: the mask of the class."""
    return input_channels(images[..., 0]), mask[..., None]


register_task(Task("segmentation", "class", {}, nothing_shared, nothing_own, apply))
