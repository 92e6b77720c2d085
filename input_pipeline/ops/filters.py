"""Filters and random fields on images, in JAX: what tasks and augmentations share.

Written for a CPU too: blurs are sums of shifted images and fields are matrix products, which cost a tenth of a
convolution or a resize there.
"""

from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp

from input_pipeline.space.random_field import spline_weights


def smooth_field(key: jax.Array, shape: tuple[int, int], spacing: float) -> jax.Array:
    """A random field `[H, W]` float32 of mean 0 and standard deviation 1 that varies over distances of about `spacing`
    pixels: cubic B-splines through normal noise.
    """
    rows, columns = (spline_weights(length, spacing) for length in shape)
    return rows @ jax.random.normal(key, (rows.shape[1], columns.shape[1])) @ columns.T


def gaussian_blur(image: jax.Array, sigma: jax.Array | tuple, radius: int) -> jax.Array:
    """An image `[H, W]` blurred with a Gaussian cut off at `radius` pixels; its border extends outwards.

    Args:
        image: `[H, W]`.
        sigma: standard deviation along rows and columns in pixels, one number or two, traced or not; 0 is no blur.
        radius: static, for instance three times the largest sigma.
    """
    for axis, width in enumerate(jnp.broadcast_to(jnp.asarray(sigma, jnp.float32), 2)):
        offsets = jnp.arange(radius + 1)
        weights = jnp.exp(-0.5 * (offsets / jnp.maximum(width, 1e-3)) ** 2)
        weights /= weights[0] + 2 * weights[1:].sum()
        shifted = shifts(image, axis, radius, mode="edge")
        image = weights[0] * shifted[radius] + sum(
            weights[n] * (shifted[radius + n] + shifted[radius - n]) for n in range(1, radius + 1)
        )
    return image


def shifts(image: jax.Array, axis: int, reach: int, **pad: Any) -> list[jax.Array]:
    """An image `[H, W]` shifted along an axis by -reach to reach pixels: the n-th has pixel p + n - reach at p.

    Args:
        image: `[H, W]`.
        axis: 0 along rows, 1 along columns.
        reach: static, pixels.
        **pad: what is beyond the image, as `jnp.pad` takes it.
    """
    widths = [(0, 0), (0, 0)]
    widths[axis] = (reach, reach)
    wide, length = jnp.pad(image, widths, **pad), image.shape[axis]
    return [jax.lax.slice_in_dim(wide, start, start + length, axis=axis) for start in range(2 * reach + 1)]


def squared_distance(mask: jax.Array, reach: int, *, beyond: bool) -> jax.Array:
    """Squared distance in pixels of each pixel to the nearest one of a mask, `[H, W]` float32; 0 in the mask.

    Args:
        mask: `[H, W]`, 0 or 1.
        reach: static; distances up to it are right, larger ones too large or infinite.
        beyond: whether what is outside of the image counts as mask.
    """
    # First along columns, then along rows: the squares add up.
    distance = jnp.where(mask > 0.5, 0.0, jnp.inf)
    for axis in range(2):
        shifted = shifts(distance, axis, reach, constant_values=0.0 if beyond else jnp.inf)
        distance = reduce(jnp.minimum, (part + (n - reach) ** 2 for n, part in enumerate(shifted)))
    return distance


def is_mask(image: jax.Array) -> jax.Array:
    """Whether all values are 0 or 1 (bool, traced). An operation on outputs tells a mask from an image by it."""
    return jnp.all((image == 0) | (image == 1))
