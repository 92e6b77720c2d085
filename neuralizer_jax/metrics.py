"""Metrics of single episodes: how good a prediction is, in the numbers that the paper reports (section 4.1)."""

import jax
import jax.numpy as jnp

# dB: a mean squared error of 1e-10, below what float32 or a stored uint16 image resolves.
MAX_PSNR = 100.0


def dice(prediction: jax.Array, truth: jax.Array) -> jax.Array:
    """Dice overlap of two masks; a pixel above 0.5 belongs to its mask.

    Args:
        prediction: `[B, *spatial, C]`.
        truth: the same shape.

    Returns:
        float32 `[B]`, 0 to 1; 1 where both masks are empty.
    """
    axes = tuple(range(1, truth.ndim))
    prediction, truth = prediction > 0.5, truth > 0.5
    overlap = jnp.sum(prediction & truth, axes, dtype=jnp.float32)
    sizes = jnp.sum(prediction, axes, dtype=jnp.float32) + jnp.sum(truth, axes, dtype=jnp.float32)
    return jnp.where(sizes > 0, 2 * overlap / jnp.maximum(sizes, 1), 1)


def psnr(prediction: jax.Array, truth: jax.Array) -> jax.Array:
    """Peak signal-to-noise ratio for intensities in [0, 1]; the prediction is clipped to them.

    Args:
        prediction: `[B, *spatial, C]`.
        truth: the same shape, in [0, 1].

    Returns:
        float32 `[B]` in dB, at most `MAX_PSNR`, which identical images get in place of infinity.
    """
    error = jnp.mean((jnp.clip(prediction, 0, 1) - truth) ** 2, tuple(range(1, truth.ndim)), dtype=jnp.float32)
    return -10 * jnp.log10(jnp.maximum(error, 10 ** (-MAX_PSNR / 10)))
