"""Data augmentation: random affine and elastic deformation of images, masks and labels, in one interpolation.

Two transforms are sampled, one that all images of an episode share and one of the image's own. The own transform moves
the image, the shared one moves the result; one sampling grid does both. Coordinates are (row, column) in mm from the
middle of the image. Positive translations move the picture down and to the right, positive rotations turn it
counter-clockwise, scales above 1 enlarge it.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from input_pipeline.ops.filters import cubic_b_spline
from input_pipeline.space.grid import SLICE_SHAPE
from neuralizer_jax.errors import InputError

# Largest `amplitude` / `spacing` without folding: along an axis, the slope of a cubic B-spline is at most 1.5 amplitude
# / spacing, and the slopes of two axes add up.
_STEEPEST = 1 / 3

DEFAULTS = {
    "shared": {
        "affine_probability": 0.5,
        "rotation": (-15.0, 15.0),  # degrees
        "translation": (-10.0, 10.0),  # mm, along rows and columns
        "scale": (0.85, 1.15),  # along rows and columns
        "shear": (-0.05, 0.05),  # mm along rows per mm along columns
        "elastic_probability": 0.25,
        "amplitude": (5.0, 10.0),  # bound on the displacement along rows or columns, mm; a quarter of it is typical
        "spacing": (32.0, 64.0),  # distance of the nodes, mm
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
    """Maps a pixel to the point it is read at: matrix @ (row, column, 1) + displacement, in mm from the middle.

    Attributes:
        matrix: `[2, 3]` float32.
        displacements: `[K, K, 2]` float32, at the nodes of cubic B-splines, mm.
        spacing: distance of the nodes, mm.
    """

    matrix: jax.Array
    displacements: jax.Array
    spacing: jax.Array


def sample_transform(key: jax.Array, config: ConfigDict) -> Transform:
    """Samples a transform.

    Args:
        key: random key.
        config: the block `shared` or `own` of `DEFAULTS`.

    Raises:
        InputError: if the ranges allow a deformation to fold, or a scale of 0 or less.
    """
    if config.scale[0] <= 0:
        raise InputError(f"spatial scale is from {config.scale[0]}, expected above 0")
    if config.spacing[0] <= 0 or max(map(abs, config.amplitude)) > _STEEPEST * config.spacing[0]:
        raise InputError(
            f"spatial amplitude is up to {config.amplitude[1]} mm at a spacing of {config.spacing[0]} mm, expected at"
            " most a third of the spacing: the deformation could fold"
        )
    # The nodes cover a whole slice, 1 mm a pixel; beyond it, the edge value continues.
    nodes = math.ceil(SLICE_SHAPE[0] / config.spacing[0]) + 3
    # Sampled in one call: on a CPU the calls cost time, not the numbers.
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


def sampling_grid(
    shared: Transform,
    own: Transform,
    size: int,
    source_size: int | None = None,
    source_extent: float | None = None,
    extent: float | None = None,
) -> jax.Array:
    """The coordinates at which each pixel of the transformed image reads the source image.

    Args:
        shared: transform that all images of an episode share.
        own: transform of this image.
        size: width of the transformed image, pixels.
        source_size: width of the source image, pixels; None: `size`.
        source_extent: width of the source image, mm; None: `source_size`, that is pixels of 1 mm.
        extent: width of the transformed image, mm, about the same middle; None: `source_extent`.

    Returns:
        `[2, size, size]` float32: rows and columns in pixels of the source image.
    """
    source_size = source_size or size
    source_extent = source_extent or source_size
    extent = extent or source_extent
    places = (jnp.arange(size, dtype=jnp.float32) - (size - 1) / 2) * (extent / size)
    # The grid is own(shared(place)): the matrices multiply, and the own matrix acts on the shared displacements. The
    # own displacements are read at `place`, not at shared(place): they are as random there, and their weights
    # separable.
    linear, translation = own.matrix[:, :2], own.matrix[:, 2]
    matrix, offset = linear @ shared.matrix[:, :2], linear @ shared.matrix[:, 2] + translation
    parts = (shared._replace(displacements=shared.displacements @ linear.T), own)
    rows = [_along_rows(part, places) for part in parts]
    columns = [_spline_weights(places, part) for part in parts]
    # The affine part is two more products of rows and columns, so that one matrix product gives the whole grid.
    scale = source_size / source_extent
    along_rows = matrix[:, :1] * places + offset[:, None] + (source_size - 1) / 2 / scale
    along_columns = jnp.broadcast_to(matrix[:, 1:], (2, size))
    left = jnp.concatenate([*rows, along_rows[..., None], along_columns[..., None]], axis=2)
    right = jnp.concatenate([*columns, jnp.ones((size, 1)), places[:, None]], axis=1)
    return jnp.matmul(scale * left, right.T, precision="highest")


def warp_image(image: jax.Array, places: jax.Array) -> jax.Array:
    """Reads an image at the coordinates of a grid, with bilinear interpolation.

    Args:
        image: `[H, W]` of any number type.
        places: `[2, h, w]`, rows and columns in pixels.

    Returns:
        `[h, w]` float32, 0 outside of the image (beyond the outer edges of its pixels).
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
    """`warp_image` of a mask `[H, W]` of 0 and 1, thresholded: 1 where it is at least 0.5; float32."""
    return (warp_image(mask, places) >= 0.5).astype(jnp.float32)


def warp_labels(labels: jax.Array, places: jax.Array) -> jax.Array:
    """Reads labels `[H, W]` at the pixels nearest to a grid `[2, h, w]`; 0 outside."""
    height, width = labels.shape
    row, column = (
        jnp.clip(jnp.round(along).astype(jnp.int32), 0, length - 1)
        for along, length in zip(places, labels.shape, strict=True)
    )
    pixels = labels.reshape(-1).at[row * width + column].get(mode="promise_in_bounds")
    return jnp.where(_inside(places, height, width), pixels, 0)


def _cell(along: jax.Array, length: int) -> tuple[jax.Array, jax.Array]:
    """Index of the pixel before each coordinate along an axis, and the fraction of the way to the next one."""
    along = jnp.clip(along, 0, length - 1)
    before = jnp.minimum(along.astype(jnp.int32), length - 2)
    return before, along - before


def _inside(places: jax.Array, height: int, width: int) -> jax.Array:
    row, column = places
    return (row >= -0.5) & (row < height - 0.5) & (column >= -0.5) & (column < width - 0.5)


def _affine(rotation: jax.Array, translation: jax.Array, scale: jax.Array, shear: jax.Array) -> jax.Array:
    """Matrix `[2, 3]` from the moved picture back to the original one.

    The picture is scaled, sheared, rotated and translated; the matrix undoes this in reverse order.
    """
    angle = rotation * (math.pi / 180)
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    unrotate = jnp.array([[cosine, sine], [-sine, cosine]])
    back = (jnp.array([[1, -shear], [0, 1]]) @ unrotate) / scale[:, None]
    return jnp.concatenate([back, -(back @ translation)[:, None]], axis=1)


def _along_rows(transform: Transform, rows: jax.Array) -> jax.Array:
    """Displacements `[2, H, K]` at rows `[H]` in mm from the middle, and at the columns of the nodes."""
    return _spline_weights(rows, transform) @ jnp.moveaxis(transform.displacements, -1, 0)


def _spline_weights(places: jax.Array, transform: Transform) -> jax.Array:
    """Weights `[length, K]` of the nodes at places in mm from the middle; they sum to 1."""
    nodes = transform.displacements.shape[0]
    places = jnp.clip(places / transform.spacing + (nodes - 1) / 2, 1, nodes - 2)
    return cubic_b_spline(jnp.abs(places[:, None] - jnp.arange(nodes)))
