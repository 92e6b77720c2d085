"""Inpainting: image with random regions set to zero -> complete image."""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from input_pipeline.ops.filters import cubic_b_spline
from input_pipeline.ops.registry import Parameters, Task, register_task
from input_pipeline.ops.tasks.input_channels import input_channels

# Nodes of the random field along an axis: enough for 192 pixels at the smallest spacing.
_NODES = 20

# Pixels above this intensity are foreground.
_FOREGROUND = 0.1

# Bisection steps for the threshold.
_STEPS = 14

DEFAULTS = {
    # Distance of the nodes of the random field, mm; about the size of a region.
    "spacing_mm": (12.0, 20.0),
    # Fraction of the foreground that is removed.
    "fraction": (0.08, 0.25),
}


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """`spacing` in pixels and `fraction`."""
    spacing, fraction = jax.random.split(key)
    return {
        "spacing": jax.random.uniform(spacing, (), jnp.float32, *config.spacing_mm),
        "fraction": jax.random.uniform(fraction, (), jnp.float32, *config.fraction),
    }


def sample_image(key: jax.Array, shared: Parameters, config: ConfigDict) -> Parameters:
    """Random field at its nodes `[_NODES, _NODES]`; the regions are where it is large."""
    return jax.random.normal(key, (_NODES, _NODES))


def apply(shared: Parameters, own: Parameters, images: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Input: the image without the regions. Output: the image."""
    image = images[..., 0]
    rows, columns = (spline_weights(length, shared["spacing"]) for length in image.shape)
    regions = above_threshold(rows @ own @ columns.T, image > _FOREGROUND, shared["fraction"])
    return input_channels(jnp.where(regions, 0, image)), images[..., :1]


def spline_weights(length: int, spacing: jax.Array) -> jax.Array:
    """Matrix `[length, _NODES]` that interpolates nodes `spacing` samples apart with cubic B-splines.

    As `random_field.spline_weights`, but the spacing may be traced. A spacing too small for `_NODES` nodes is raised.
    """
    spacing = jnp.maximum(spacing, length / (_NODES - 4))
    # Node n is at n - 1, so that one node lies before the first sample.
    distance = jnp.abs(jnp.arange(length)[:, None] / spacing - (jnp.arange(_NODES) - 1))
    weights = cubic_b_spline(distance)
    return weights / jnp.sqrt((weights**2).sum(1, keepdims=True))


def above_threshold(field: jax.Array, foreground: jax.Array, fraction: jax.Array) -> jax.Array:
    """Thresholds a field so that a fraction of the foreground is above it.

    Args:
        field: `[H, W]`.
        foreground: `[H, W]` bool.
        fraction: 0 to 1; at 0 nothing is above the threshold.

    Returns:
        `[H, W]` bool, in the foreground and outside of it.
    """
    goal = fraction * foreground.sum()

    def halve(_: int, interval: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = interval
        middle = (low + high) / 2
        too_many = (foreground & (field > middle)).sum() > goal
        return jnp.where(too_many, middle, low), jnp.where(too_many, high, middle)

    _, threshold = jax.lax.fori_loop(0, _STEPS, halve, (field.min(), field.max()))
    return (field > threshold) & (fraction > 0)


register_task(Task("inpainting", "image", DEFAULTS, sample, sample_image, apply))
