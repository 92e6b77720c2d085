"""Undersampled reconstruction: magnitude image of some lines of k-space, the others zero -> fully sampled image.

Random Cartesian lines, all of them at the centre and fewer outwards, after Lustig et al. 2007
(https://doi.org/10.1002/mrm.21391); the centre's share of the lines is that of fastMRI (Zbontar et al. 2018,
https://arxiv.org/abs/1811.08839): 8 % of all lines at an acceleration of 4, 4 % at 8.
"""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from input_pipeline.ops.k_space import along_phase_encoding, from_k_space, line_numbers, to_k_space
from input_pipeline.ops.registry import Parameters, Task, register_task
from input_pipeline.ops.tasks.input_channels import input_channels

# Of the sampled lines this share is the fully sampled centre.
_CENTRE_SHARE = 0.32

DEFAULTS = {
    # All lines over sampled lines, on average.
    "acceleration": (2.5, 5.0),
}


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """`acceleration`, and whether the phase is encoded along the `rows` axis."""
    acceleration, rows = jax.random.split(key)
    return {
        "acceleration": jax.random.uniform(acceleration, (), jnp.float32, *config.acceleration),
        "rows": jax.random.bernoulli(rows),
    }


def sample_image(key: jax.Array, shared: Parameters, config: ConfigDict) -> Parameters:
    """Key of the image's lines, whose number is the image's."""
    return key


def apply(shared: Parameters, own: Parameters, images: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The zero-filled image and the image. Where the zero-filled image exceeds 1 (it rings) it is clipped."""

    def change(image: jax.Array) -> jax.Array:
        lines = sampled_lines(own, image.shape[-1], shared["acceleration"])
        return jnp.minimum(jnp.abs(zero_filled(image, lines)), 1)

    return input_channels(along_phase_encoding(change, images[..., 0], shared["rows"])), images[..., :1]


def sampled_lines(key: jax.Array, length: int, acceleration: jax.Array) -> jax.Array:
    """Which of the lines `[length]` of k-space are sampled, bool, in the order of `line_numbers`.

    Args:
        key: of the draw, a line at a time.
        length: number of lines.
        acceleration: at least 1. The number of sampled lines is `length / acceleration` on average; at 1 it is all.
    """
    centre = _CENTRE_SHARE / acceleration
    # Mean density outside of the centre; it falls linearly from there to the edge, which keeps it in [0, 1].
    density = (1 - _CENTRE_SHARE) / (acceleration - _CENTRE_SHARE)
    outwards = (jnp.abs(line_numbers(length)) - centre) / (1 - centre)
    spread = jnp.minimum(density, 1 - density)
    probability = jnp.where(outwards <= 0, 1, density + spread * (1 - 2 * outwards))
    return jax.random.uniform(key, (length,)) < probability


def zero_filled(image: jax.Array, lines: jax.Array) -> jax.Array:
    """Complex image `[H, W]` of the lines `[W]` of an image that are True, the others being zero."""
    return from_k_space(to_k_space(image) * lines)


register_task(Task("undersampled_reconstruction", "image", DEFAULTS, sample, sample_image, apply))
