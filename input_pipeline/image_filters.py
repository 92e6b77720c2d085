"""Filters and random fields on images, in JAX: what tasks and augmentations share.

Written for a CPU too: blurs are sums of shifted images and fields are matrix products, which cost a tenth of a
convolution or a resize there.
"""

import jax
import jax.numpy as jnp

from input_pipeline.random_field import spline_weights


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
        pad = [(0, 0), (0, 0)]
        pad[axis] = (radius, radius)
        wide = jnp.pad(image, pad, mode="edge")
        length = image.shape[axis]

        def shifted(offset: int, wide: jax.Array = wide, axis: int = axis, length: int = length) -> jax.Array:
            return jax.lax.slice_in_dim(wide, radius + offset, radius + offset + length, axis=axis)

        image = weights[0] * shifted(0) + sum(weights[n] * (shifted(n) + shifted(-n)) for n in range(1, radius + 1))
    return image
