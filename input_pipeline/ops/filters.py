"""Filters and random fields on images that tasks and augmentations share, in JAX.

Fast on a CPU too: blurs are sums of shifted images and fields are matrix products. There, they take a tenth of the time
of a convolution or a resize.
"""

from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp

from input_pipeline.space.random_field import spline_weights


def smooth_field(key: jax.Array, shape: tuple[int, ...], spacing: float) -> jax.Array:
    """Samples a smooth random field `[H, W]` float32 with mean 0 and standard deviation 1.

    Cubic B-splines through normal noise at nodes `spacing` pixels apart.
    """
    height, width = shape
    rows, columns = spline_weights(height, spacing), spline_weights(width, spacing)
    return rows @ jax.random.normal(key, (rows.shape[1], columns.shape[1])) @ columns.T


def cubic_b_spline(distance: jax.Array) -> jax.Array:
    """The cubic B-spline at distances from its middle, in node spacings; of any shape, 0 or more."""
    inner = 2 / 3 - distance**2 + distance**3 / 2
    outer = jnp.maximum(2 - distance, 0) ** 3 / 6
    return jnp.where(distance < 1, inner, outer)


def gaussian_blur(image: jax.Array, sigma: jax.Array | tuple, radius: int) -> jax.Array:
    """Blurs an image with a Gaussian. Beyond the border, the image continues with its edge pixels.

    Args:
        image: `[H, W]`.
        sigma: standard deviation in pixels, one for both axes or `[2]`; may be traced; 0 is no blur.
        radius: the kernel's, in pixels; static, for instance three times the largest sigma.
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
    """Shifts an image along an axis by -reach to reach pixels; the n-th result has pixel p + n - reach at p.

    Args:
        image: `[H, W]`.
        axis: 0 shifts the rows, 1 the columns.
        reach: pixels, static.
        **pad: options of `jnp.pad` that say what is beyond the image.
    """
    widths = [(0, 0), (0, 0)]
    widths[axis] = (reach, reach)
    wide, length = jnp.pad(image, widths, **pad), image.shape[axis]
    return [jax.lax.slice_in_dim(wide, start, start + length, axis=axis) for start in range(2 * reach + 1)]


def squared_distance(mask: jax.Array, reach: int, *, beyond: bool) -> jax.Array:
    """Squared distance from each pixel to the nearest pixel of a mask.

    Args:
        mask: `[H, W]`, 0 or 1.
        reach: distances up to this are exact, larger ones too large or infinite; static.
        beyond: whether the outside of the image counts as mask.

    Returns:
        `[H, W]` float32, in pixels squared; 0 in the mask.
    """
    # One axis after the other: squares add up.
    distance = jnp.where(mask > 0.5, 0.0, jnp.inf)
    for axis in range(2):
        shifted = shifts(distance, axis, reach, constant_values=0.0 if beyond else jnp.inf)
        distance = reduce(jnp.minimum, (part + (n - reach) ** 2 for n, part in enumerate(shifted)))
    return distance


def is_mask(image: jax.Array) -> jax.Array:
    """Whether all values are 0 or 1 (bool, may be traced): how an augmentation tells a mask from an image."""
    return jnp.all((image == 0) | (image == 1))
