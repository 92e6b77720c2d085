"""Segmentation by a protocol of its own: the border a little further in or out, smoother, and to one side.

Where people draw a border is not where the intensities change alone. What a label map synthesises has its borders
exactly there, and a network that saw nothing else takes no notice of how its context draws them.
"""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from input_pipeline.ops.filters import shifts
from input_pipeline.ops.registry import Parameters, TaskAugmentation, nothing_own, register_task_augmentation
from neuralizer_jax.errors import InputError

# Pixels at which the blur is cut off, and how far the largest blur and shift may reach together.
_REACH = 5


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """The protocol: standard deviation of the blur in pixels, shift along rows and columns `[2]`, level in 0 to 1.

    Raises InputError where a blur may be 0, or twice the largest blur and the largest shift exceed 5 pixels together.
    """
    if config.blur[0] <= 0 or 2 * config.blur[1] + config.shift[1] > _REACH:
        raise InputError(
            f"mask_border: blur is {config.blur[0]} to {config.blur[1]}, shift up to {config.shift[1]}, expected a blur"
            f" above 0 and twice the blur plus the shift at most {_REACH} pixels"
        )
    for_blur, for_shift, for_angle, for_level = jax.random.split(key, 4)
    angle = jax.random.uniform(for_angle, maxval=2 * jnp.pi)
    shift = jax.random.uniform(for_shift, (), jnp.float32, *config.shift)
    return {
        "blur": jax.random.uniform(for_blur, (), jnp.float32, *config.blur),
        "shift": shift * jnp.stack([jnp.cos(angle), jnp.sin(angle)]),
        "level": jax.random.uniform(for_level, (), jnp.float32, *config.level),
    }


def apply(shared: Parameters, own: Parameters, images: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The input `[H, W, 3]` as it is, and where the mask `[H, W, 1]`, blurred and shifted, is above the level."""
    blurred = mask[..., 0]
    offsets = jnp.arange(-_REACH, _REACH + 1)
    for axis, shift in enumerate(shared["shift"]):
        weights = jnp.exp(-0.5 * ((offsets - shift) / shared["blur"]) ** 2)
        weights /= weights.sum()
        # What is moved by an offset comes from the other side.
        moved = reversed(shifts(blurred, axis, _REACH, mode="edge"))
        blurred = sum(weight * part for weight, part in zip(weights, moved, strict=True))
    return images, (blurred > shared["level"])[..., None].astype(jnp.float32)


register_task_augmentation(
    TaskAugmentation(
        name="mask_border",
        touches="output",
        fits=lambda task: task.is_segmentation,
        defaults={
            "probability": 0.0,  # not in the paper
            "blur": (0.5, 1.2),  # standard deviation in pixels
            "shift": (0.75, 1.5),  # pixels, in any direction
            "level": (0.3, 0.7),  # of the blurred mask: lower is larger
        },
        sample=sample,
        sample_image=nothing_own,
        apply=apply,
    )
)
