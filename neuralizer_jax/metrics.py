"""Metrics as in the paper (section 4.1): prediction and truth in, both `[B, *spatial, C]`, float32 `[B]` out."""

import jax
import jax.numpy as jnp

# dB. A mean squared error of 1e-10 is below the resolution of float32 and of images stored as uint16.
MAX_PSNR = 100.0


def dice(prediction: jax.Array, truth: jax.Array) -> jax.Array:
    """Dice overlap of two masks, `2 |P & T| / (|P| + |T|)`. A pixel above 0.5 belongs to its mask.

    Returns:
        `[B]`, 0 to 1; 1 if both masks are empty.

    Example:
        >>> prediction, truth = jnp.array([[0.9, 0.7, 0.1, 0.0]]), jnp.array([[1.0, 0.0, 1.0, 0.0]])
        >>> dice(prediction, truth).tolist()
        [0.5]
    """
    axes = tuple(range(1, truth.ndim))
    prediction, truth = prediction > 0.5, truth > 0.5
    overlap = jnp.sum(prediction & truth, axes, dtype=jnp.float32)
    sizes = jnp.sum(prediction, axes, dtype=jnp.float32) + jnp.sum(truth, axes, dtype=jnp.float32)
    return jnp.where(sizes > 0, 2 * overlap / jnp.maximum(sizes, 1), 1)


def psnr(prediction: jax.Array, truth: jax.Array) -> jax.Array:
    """Peak signal-to-noise ratio, `-10 log10(mse)`, for intensities in [0, 1]. The prediction is clipped to this range.

    Returns:
        `[B]` in dB. Identical images have `MAX_PSNR` instead of infinity.

    Example:
        >>> psnr(jnp.full((1, 16, 16, 1), 0.1), jnp.zeros((1, 16, 16, 1))).round(2).tolist()
        [20.0]
    """
    error = jnp.mean((jnp.clip(prediction, 0, 1) - truth) ** 2, tuple(range(1, truth.ndim)), dtype=jnp.float32)
    return -10 * jnp.log10(jnp.maximum(error, 10 ** (-MAX_PSNR / 10)))
