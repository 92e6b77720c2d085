"""Data augmentation: random affine and elastic deformation of images, masks and labels, in one interpolation.

A transform is drawn twice, for what all images of an episode share and for an image's own, and both are applied at
once: the own one moves the image, then the shared one the result. Coordinates are (row, column) in pixels of 1 mm;
transforms act about the middle of the image. Positive shifts move the picture down and to the right, positive rotations
turn it counter-clockwise, scales above 1 enlarge it.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from neuralizer_jax.errors import InputError

# Nodes of the elastic deformation cover this many mm about the middle; beyond, it goes on as it is at the edge.
_EXTENT = 192

# `amplitude` / `spacing` above which a deformation can fold: the slope of a cubic B-spline is at most 1.5 amplitude /
# spacing along an axis, and two such slopes add up.
_STEEPEST = 1 / 3

DEFAULTS = {
    "shared": {
        "affine_probability": 0.5,
        "rotation": (-15.0, 15.0),  # degrees
        "translation": (-10.0, 10.0),  # mm, along rows and columns
        "scale": (0.85, 1.15),  # along rows and columns
        "shear": (-0.05, 0.05),  # mm along the rows a mm along the columns
        "elastic_probability": 0.25,
        "amplitude": (5.0, 10.0),  # mm that no displacement exceeds along rows or columns; a quarter of it is typical
        "spacing": (32.0, 64.0),  # mm between the nodes of the displacements
    },
    "own": {
        "affine_probability": 0.5,
        "rotation": (-8.0, 8.0),
        "translation": (-5.0, 5.0),
        "scale": (0.93, 1.07),
        "shear": (-0.03, 0.03),
        "elastic_probability": 0.25,
        "amplitude": (4.0, 8.0),
        "spacing": (24.0, 48.0),
    },
}


class Transform(NamedTuple):
    """Where a pixel's value comes from: matrix @ (row, column, 1) + displacement, mm from the middle of the image.

    Attributes:
        matrix: `[2, 3]` float32.
        displacements: `[K, K, 2]` float32, mm at the nodes of cubic B-splines.
        spacing: of the nodes, mm.
    """

    matrix: jax.Array
    displacements: jax.Array
    spacing: jax.Array


def sample_transform(key: jax.Array, config: ConfigDict) -> Transform:
    """A random transform.

    Args:
        key: where it comes from.
        config: the block `shared` or `own` of `DEFAULTS`.

    Raises:
        InputError: where the ranges allow a deformation to fold, or a scale that is not above 0.
    """
    if config.scale[0] <= 0:
        raise InputError(f"spatial scale is from {config.scale[0]}, expected above 0")
    if config.spacing[0] <= 0 or max(map(abs, config.amplitude)) > _STEEPEST * config.spacing[0]:
        raise InputError(
            f"spatial amplitude is up to {config.amplitude[1]} mm at a spacing of {config.spacing[0]} mm, expected at"
            " most a third of the spacing: the deformation could fold"
        )
    keys = jax.random.split(key, 9)

    def draw(number: int, bounds: tuple[float, float], shape: tuple[int, ...] = ()) -> jax.Array:
        return jax.random.uniform(keys[number], shape, jnp.float32, *bounds)

    moved = jax.random.bernoulli(keys[0], config.affine_probability)
    matrix = _affine(
        draw(1, config.rotation), draw(2, config.translation, (2,)), draw(3, config.scale, (2,)), draw(4, config.shear)
    )
    bent = jax.random.bernoulli(keys[5], config.elastic_probability)
    nodes = math.ceil(_EXTENT / config.spacing[0]) + 3
    directions = draw(6, (-1, 1), (nodes, nodes, 2))
    return Transform(
        jnp.where(moved, matrix, jnp.eye(2, 3)),
        jnp.where(bent, draw(7, config.amplitude), 0) * directions,
        draw(8, config.spacing),
    )


def displacement_field(shared: Transform, own: Transform, shape: tuple[int, int]) -> jax.Array:
    """Where each pixel of the transformed image comes from: `[H, W, 2]` float32, row and column."""
    middle = [(length - 1) / 2 for length in shape]
    rows, columns = (jnp.arange(length, dtype=jnp.float32) - half for length, half in zip(shape, middle, strict=True))
    # own(shared(place)): matrices multiply, and the own one acts on the shared displacements. The own displacements are
    # read at the place itself: they are as random there as where the shared transform points.
    turn, shift = own.matrix[:, :2], own.matrix[:, 2]
    matrix, offset = turn @ shared.matrix[:, :2], turn @ shared.matrix[:, 2] + shift
    parts = (shared._replace(displacements=shared.displacements @ turn.T), own)
    down = jnp.concatenate([_along_rows(part, rows) for part in parts], axis=2)
    across = jnp.concatenate([_spline_weights(columns, part) for part in parts], axis=1)
    displacement = down @ across.T
    return jnp.stack(
        [
            matrix[axis, 0] * rows[:, None]
            + matrix[axis, 1] * columns
            + offset[axis]
            + displacement[axis]
            + middle[axis]
            for axis in range(2)
        ],
        axis=-1,
    )


def warp_images(images: jax.Array, coordinates: jax.Array) -> jax.Array:
    """Images `[H, W, C]` float32 read linearly at coordinates `[H, W, 2]` (row, column).

    0 outside of the image, that is beyond its pixels' outer edges.
    """
    height, width, channels = images.shape
    pixels = images.reshape(height * width, channels)
    (top, down), (left, right) = (_cell(coordinates[..., axis], length) for axis, length in enumerate((height, width)))
    corner = top * width + left
    upper_left, upper_right, lower_left, lower_right = (
        pixels.at[corner + step].get(mode="promise_in_bounds") for step in (0, 1, width, width + 1)
    )
    down, right = down[..., None], right[..., None]
    upper = upper_left * (1 - right) + upper_right * right
    lower = lower_left * (1 - right) + lower_right * right
    return jnp.where(_inside(coordinates)[..., None], upper * (1 - down) + lower * down, 0)


def warp_masks(masks: jax.Array, coordinates: jax.Array) -> jax.Array:
    """Masks `[H, W, K]` float32, 0 or 1: read linearly, 1 where that gives at least 0.5."""
    return (warp_images(masks, coordinates) >= 0.5).astype(masks.dtype)


def warp_labels(labels: jax.Array, coordinates: jax.Array) -> jax.Array:
    """Labels `[H, W]` of the nearest pixel; 0 outside."""
    height, width = labels.shape
    row, column = (
        jnp.clip(jnp.round(coordinates[..., axis]).astype(jnp.int32), 0, length - 1)
        for axis, length in enumerate((height, width))
    )
    pixels = labels.reshape(-1).at[row * width + column].get(mode="promise_in_bounds")
    return jnp.where(_inside(coordinates), pixels, 0)


def _cell(along: jax.Array, length: int) -> tuple[jax.Array, jax.Array]:
    """Index of the pixel before each place along an axis, and how far the place is on the way to the next, 0 to 1."""
    along = jnp.clip(along, 0, length - 1)
    before = jnp.minimum(along.astype(jnp.int32), length - 2)
    return before, along - before


def _inside(coordinates: jax.Array) -> jax.Array:
    height, width, _ = coordinates.shape
    row, column = coordinates[..., 0], coordinates[..., 1]
    return (row >= -0.5) & (row < height - 0.5) & (column >= -0.5) & (column < width - 0.5)


def _affine(rotation: jax.Array, translation: jax.Array, scale: jax.Array, shear: jax.Array) -> jax.Array:
    """Matrix `[2, 3]` that leads from the moved picture back to the original one.

    The picture is scaled, sheared, rotated and shifted; here is the reverse of it, in reverse order.
    """
    angle = rotation * (math.pi / 180)
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    back = jnp.array([[cosine, sine], [-sine, cosine]])
    back = jnp.array([[1, -shear], [0, 1]]) @ back
    back = back / scale[:, None]
    return jnp.concatenate([back, -(back @ translation)[:, None]], axis=1)


def _along_rows(transform: Transform, rows: jax.Array) -> jax.Array:
    """Displacements `[2, H, K]` at rows `[H]`, mm from the middle, and at the nodes' columns."""
    return _spline_weights(rows, transform) @ jnp.moveaxis(transform.displacements, -1, 0)


def _spline_weights(places: jax.Array, transform: Transform) -> jax.Array:
    """Weights `[length, K]` of the nodes at places in mm from the middle: cubic B-splines, which sum to 1."""
    nodes = transform.displacements.shape[0]
    places = jnp.clip(places / transform.spacing + (nodes - 1) / 2, 1, nodes - 2)
    distance = jnp.abs(places[:, None] - jnp.arange(nodes))
    inner = 2 / 3 - distance**2 + distance**3 / 2
    outer = jnp.maximum(2 - distance, 0) ** 3 / 6
    return jnp.where(distance < 1, inner, outer)
