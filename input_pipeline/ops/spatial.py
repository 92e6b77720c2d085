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
    nodes = math.ceil(_EXTENT / config.spacing[0]) + 3
    # Drawn all at once: a call is dear, not the numbers.
    numbers = jax.random.uniform(key, (10 + nodes * nodes * 2,))

    def between(number: jax.Array, bounds: tuple[float, float]) -> jax.Array:
        return bounds[0] + (bounds[1] - bounds[0]) * number

    moved, bent = numbers[0] < config.affine_probability, numbers[1] < config.elastic_probability
    matrix = _affine(
        between(numbers[2], config.rotation),
        between(numbers[3:5], config.translation),
        between(numbers[5:7], config.scale),
        between(numbers[7], config.shear),
    )
    return Transform(
        jnp.where(moved, matrix, jnp.eye(2, 3)),
        jnp.where(bent, between(numbers[8], config.amplitude), 0)
        * between(numbers[10:], (-1, 1)).reshape(nodes, nodes, 2),
        between(numbers[9], config.spacing),
    )


def displacement_field(
    shared: Transform,
    own: Transform,
    size: int,
    source_size: int | None = None,
    source_extent: float | None = None,
    extent: float | None = None,
) -> jax.Array:
    """Where each pixel of the transformed image comes from.

    Args:
        shared: what all images of an episode share.
        own: what the image has of its own.
        size: of the transformed image, pixels along both axes.
        source_size: of the image that is read; None: the same.
        source_extent: what that one shows, mm; None: `source_size`, pixels of 1 mm.
        extent: what the transformed image shows about the same middle, mm; None: `source_extent`.

    Returns:
        `[2, size, size]` float32: rows and columns of the image that is read.
    """
    source_size = source_size or size
    source_extent = source_extent or source_size
    extent = extent or source_extent
    places = (jnp.arange(size, dtype=jnp.float32) - (size - 1) / 2) * (extent / size)
    # own(shared(place)): matrices multiply, and the own one acts on the shared displacements. The own displacements are
    # read at the place itself: they are as random there as where the shared transform points.
    turn, shift = own.matrix[:, :2], own.matrix[:, 2]
    matrix, offset = turn @ shared.matrix[:, :2], turn @ shared.matrix[:, 2] + shift
    parts = (shared._replace(displacements=shared.displacements @ turn.T), own)
    down = [_along_rows(part, places) for part in parts]
    across = [_spline_weights(places, part) for part in parts]
    # The affine part as one more sum of products of rows and columns: all of it in a single matrix product.
    scale = source_size / source_extent
    along_rows = matrix[:, :1] * places + offset[:, None] + (source_size - 1) / 2 / scale
    along_columns = jnp.broadcast_to(matrix[:, 1:], (2, size))
    down = jnp.concatenate([*down, along_rows[..., None], along_columns[..., None]], axis=2)
    across = jnp.concatenate([*across, jnp.ones((size, 1)), places[:, None]], axis=1)
    return jnp.matmul(scale * down, across.T, precision="highest")


def warp_image(image: jax.Array, places: jax.Array) -> jax.Array:
    """An image `[H, W]` of any number type read linearly at places `[2, h, w]` (rows, columns): `[h, w]` float32.

    0 outside of the image, that is beyond its pixels' outer edges.
    """
    height, width = image.shape
    pixels = image.reshape(-1)
    (top, down), (left, right) = (_cell(along, length) for along, length in zip(places, image.shape, strict=True))
    corner = top * width + left
    upper_left, upper_right, lower_left, lower_right = (
        pixels.at[corner + step].get(mode="promise_in_bounds").astype(jnp.float32) for step in (0, 1, width, width + 1)
    )
    upper = upper_left * (1 - right) + upper_right * right
    lower = lower_left * (1 - right) + lower_right * right
    return jnp.where(_inside(places, height, width), upper * (1 - down) + lower * down, 0)


def warp_mask(mask: jax.Array, places: jax.Array) -> jax.Array:
    """A mask `[H, W]`, 0 or 1: read linearly, 1 where that gives at least 0.5; float32."""
    return (warp_image(mask, places) >= 0.5).astype(jnp.float32)


def warp_labels(labels: jax.Array, places: jax.Array) -> jax.Array:
    """Labels `[H, W]` of the pixel nearest to each place; 0 outside."""
    height, width = labels.shape
    row, column = (
        jnp.clip(jnp.round(along).astype(jnp.int32), 0, length - 1)
        for along, length in zip(places, labels.shape, strict=True)
    )
    pixels = labels.reshape(-1).at[row * width + column].get(mode="promise_in_bounds")
    return jnp.where(_inside(places, height, width), pixels, 0)


def _cell(along: jax.Array, length: int) -> tuple[jax.Array, jax.Array]:
    """Index of the pixel before each place along an axis, and how far the place is on the way to the next, 0 to 1."""
    along = jnp.clip(along, 0, length - 1)
    before = jnp.minimum(along.astype(jnp.int32), length - 2)
    return before, along - before


def _inside(places: jax.Array, height: int, width: int) -> jax.Array:
    row, column = places
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
