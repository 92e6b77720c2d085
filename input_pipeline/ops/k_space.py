"""Cartesian k-space in JAX: one line per phase-encode step.

An artefact of whole lines changes the image along the phase-encode axis only. The Fourier transform along the other
axis would cancel with its inverse, so only one axis is transformed.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def to_k_space(images: jax.Array) -> jax.Array:
    """Fourier transform of images `[..., H, W]` along the last axis: complex64, in the order of `line_numbers`."""
    return jnp.fft.fft(images, norm="ortho")


def from_k_space(lines: jax.Array) -> jax.Array:
    """The inverse of `to_k_space`: images `[..., H, W]` complex64. Both are unitary."""
    return jnp.fft.ifft(lines, norm="ortho")


def line_numbers(length: int) -> jax.Array:
    """Position of each line `[length]` float32: 0 is the centre of k-space, -1 and (nearly) 1 are its edges."""
    return 2 * jnp.fft.fftfreq(length, dtype=jnp.float32)


def along_phase_encoding(change: Callable[[jax.Array], jax.Array], image: jax.Array, rows: jax.Array) -> jax.Array:
    """Applies `change` to an image with phase encoding along the last axis, or the first where `rows` is True.

    Args:
        change: maps an image to another of the same shape, with phase encoding along the last axis.
        image: `[H, W]`.
        rows: bool, may be traced.
    """
    return jax.lax.cond(rows, lambda image: change(image.T).T, change, image)
