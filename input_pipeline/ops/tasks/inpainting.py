"""Inpainting: image with random regions set to zero -> complete image."""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from input_pipeline.ops.registry import Parameters, Task, register_task
from input_pipeline.ops.tasks.input_channels import input_channels

# Nodes of the random field along an axis: enough for 192 pixels of the smallest spacing.
_NODES = 20

# Pixels above this intensity are foreground.
_FOREGROUND = 0.1

# Halvings of the interval in which the threshold lies.
_STEPS = 14

DEFAULTS = {
    # Distance over which the regions' outline varies, mm: a region is about as large.
    "spacing_mm": (12.0, 20.0),
    # Share of the foreground that is removed.
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
    """Nodes `[_NODES, _NODES]` of the field that outlines the regions."""
    return jax.random.normal(key, (_NODES, _NODES))


def apply(shared: Parameters, own: Parameters, images: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The image without the regions and the image."""
    image = images[..., 0]
    rows, columns = (spline_weights(length, shared["spacing"]) for length in image.shape)
    regions = above_threshold(rows @ own @ columns.T, image > _FOREGROUND, shared["fraction"])
    return input_channels(jnp.where(regions, 0, image)), images[..., :1]


def spline_weights(length: int, spacing: jax.Array) -> jax.Array:
    """Matrix `[length, _NODES]` that interpolates nodes `spacing` samples apart with cubic B-splines, as
    `random_field.spline_weights`, of a traced spacing; a smaller one than the nodes suffice for is raised.
    """
    spacing = jnp.maximum(spacing, length / (_NODES - 4))
    # Node n stands at n - 1: the first sample has one before it.
    distance = jnp.abs(jnp.arange(length)[:, None] / spacing - (jnp.arange(_NODES) - 1))
    inner = 2 / 3 - distance**2 + distance**3 / 2
    outer = jnp.clip(2 - distance, 0) ** 3 / 6
    weights = jnp.where(distance < 1, inner, outer)
    return weights / jnp.sqrt((weights**2).sum(1, keepdims=True))


def above_threshold(field: jax.Array, foreground: jax.Array, fraction: jax.Array) -> jax.Array:
    """Where a field `[H, W]` is above the threshold that a fraction of the foreground `[H, W]` bool exceeds; nowhere
    for a fraction of 0.
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
