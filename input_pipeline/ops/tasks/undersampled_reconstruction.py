"""Undersampled reconstruction: zero-filled magnitude image of some lines of k-space -> fully sampled image.

The lines are Cartesian and random, with a fully sampled centre and a density that falls outwards (Lustig et al. 2007,
https://doi.org/10.1002/mrm.21391). The centre is as large as in fastMRI (Zbontar et al. 2018,
https://arxiv.org/abs/1811.08839): 8 % of all lines at an acceleration of 4, 4 % at 8.
"""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from input_pipeline.ops.k_space import along_phase_encoding, from_k_space, line_numbers, to_k_space
from input_pipeline.ops.registry import Parameters, Task, register_task
from input_pipeline.ops.tasks.input_channels import input_channels

# Fraction of the sampled lines that is the fully sampled centre.
_CENTRE_SHARE = 0.32

DEFAULTS = {
    # Number of all lines over the mean number of sampled lines.
    "acceleration": (2.5, 5.0),
}


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """Samples the `acceleration`, and whether phase encoding is along the `rows` axis."""
    acceleration, rows = jax.random.split(key)
    return {
        "acceleration": jax.random.uniform(acceleration, (), jnp.float32, *config.acceleration),
        "rows": jax.random.bernoulli(rows),
    }


def sample_image(key: jax.Array, shared: Parameters, config: ConfigDict) -> Parameters:
    """Random key of the sampled lines: their number is known in `apply` only."""
    return key


def apply(shared: Parameters, own: Parameters, images: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Input: the zero-filled image, clipped to 1 (ringing can exceed it). Output: the image."""

    def change(image: jax.Array) -> jax.Array:
        lines = sampled_lines(own, image.shape[-1], shared["acceleration"])
        return jnp.minimum(jnp.abs(zero_filled(image, lines)), 1)

    return input_channels(along_phase_encoding(change, images[..., 0], shared["rows"])), images[..., :1]


def sampled_lines(key: jax.Array, length: int, acceleration: jax.Array) -> jax.Array:
    """Samples lines of k-space, each by itself.

    Args:
        key: random key.
        length: number of lines.
        acceleration: at least 1; `length / acceleration` lines are sampled on average, all of them at 1.

    Returns:
        `[length]` bool in the order of `line_numbers`.
    """
    centre = _CENTRE_SHARE / acceleration
    # Mean density outside of the centre. It falls linearly to the edge and stays in [0, 1].
    density = (1 - _CENTRE_SHARE) / (acceleration - _CENTRE_SHARE)
    outwards = (jnp.abs(line_numbers(length)) - centre) / (1 - centre)
    spread = jnp.minimum(density, 1 - density)
    probability = jnp.where(outwards <= 0, 1, density + spread * (1 - 2 * outwards))
    return jax.random.uniform(key, (length,)) < probability


def zero_filled(image: jax.Array, lines: jax.Array) -> jax.Array:
    """The image `[H, W]` complex64 of some lines of k-space, `[W]` bool; the other lines are 0."""
    return from_k_space(to_k_space(image) * lines)


register_task(Task("undersampled_reconstruction", "image", DEFAULTS, sample, sample_image, apply))
