"""Segmentation of the part of the structure on one side of a line, as protocols divide structures of even intensity."""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from input_pipeline.ops.registry import Parameters, TaskAugmentation, nothing_own, register_task_augmentation

DEFAULTS = {
    "probability": 0.0,  # not in the paper
    "place": (-1.0, 0.3),  # of the line, in standard deviations from the middle; the part beyond it is kept
}


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """Samples the `direction` `[2]` of the kept side and the `place` of the line in standard deviations."""
    for_angle, for_place = jax.random.split(key)
    angle = jax.random.uniform(for_angle, maxval=2 * jnp.pi)
    return {
        "direction": jnp.stack([jnp.cos(angle), jnp.sin(angle)]),
        "place": jax.random.uniform(for_place, (), jnp.float32, *config.place),
    }


def apply(shared: Parameters, own: Parameters, images: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Keeps a part of the mask `[H, W, 1]`; the input `[H, W, 3]` does not change.

    The line follows the structure: it lies the same number of standard deviations, along the direction, from the middle
    of the mask of each image.
    """
    inside = mask[..., 0]
    rows, columns = (jnp.arange(length, dtype=jnp.float32) for length in inside.shape)
    along = shared["direction"][0] * rows[:, None] + shared["direction"][1] * columns
    pixels = jnp.maximum(inside.sum(), 1)
    middle = (inside * along).sum() / pixels
    deviation = jnp.sqrt((inside * (along - middle) ** 2).sum() / pixels)
    return images, (inside * (along >= middle + shared["place"] * deviation))[..., None].astype(jnp.float32)


register_task_augmentation(
    TaskAugmentation("mask_part", "output", lambda task: task.is_segmentation, DEFAULTS, sample, nothing_own, apply)
)
