"""Segmentation by another protocol: the border a little further in or out, smoother, and shifted.

Raters do not draw a border exactly where the intensities change. In an image synthesised from a label map it is exactly
there. A network trained only on such images ignores how the context draws the border.
"""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from input_pipeline.ops.filters import shifts
from input_pipeline.ops.registry import Parameters, TaskAugmentation, nothing_own, register_task_augmentation
from neuralizer_jax.errors import InputError

# Radius of the blur's kernel in pixels; largest blur and shift must fit into it together.
_REACH = 5

DEFAULTS = {
    "probability": 0.0,  # not in the paper
    "blur": (0.5, 1.2),  # standard deviation in pixels
    "shift": (0.75, 1.5),  # pixels, in any direction
    "level": (0.3, 0.7),  # of the blurred mask: lower is larger
}


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """Samples the `blur` (standard deviation in pixels), the `shift` `[2]` in pixels and the `level` in [0, 1].

    Raises:
        InputError: if a blur can be 0, or twice the largest blur plus the largest shift exceeds 5 pixels.
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
    """Blurs and shifts the mask `[H, W, 1]` and thresholds it at the level; the input `[H, W, 3]` does not change."""
    blurred = mask[..., 0]
    offsets = jnp.arange(-_REACH, _REACH + 1)
    for axis, shift in enumerate(shared["shift"]):
        weights = jnp.exp(-0.5 * ((offsets - shift) / shared["blur"]) ** 2)
        weights /= weights.sum()
        # Reversed, because a shift by an offset reads the pixel at minus the offset.
        moved = reversed(shifts(blurred, axis, _REACH, mode="edge"))
        blurred = sum(weight * part for weight, part in zip(weights, moved, strict=True))
    return images, (blurred > shared["level"])[..., None].astype(jnp.float32)


register_task_augmentation(
    TaskAugmentation("mask_border", "output", lambda task: task.is_segmentation, DEFAULTS, sample, nothing_own, apply)
)
