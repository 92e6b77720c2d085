"""Cartesian k-space, a line a phase-encode step, in JAX.

What happens to whole lines changes the image along the phase-encode axis only: the transform along the other, and its
inverse, would cancel. So one axis is transformed.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def to_k_space(images: jax.Array) -> jax.Array:
    """Lines `[..., H, W]` complex64 of images `[..., H, W]` along their last axis, in the order of `line_numbers`."""
    return jnp.fft.fft(images, norm="ortho")


def from_k_space(lines: jax.Array) -> jax.Array:
    """Images `[..., H, W]` complex64 of lines: the inverse of `to_k_space`, unitary as that is."""
    return jnp.fft.ifft(lines, norm="ortho")


def line_numbers(length: int) -> jax.Array:
    """Place of each line `[length]` float32: 0 is the centre of k-space, -1 and (nearly) 1 its edges."""
    return 2 * jnp.fft.fftfreq(length, dtype=jnp.float32)


def along_phase_encoding(change: Callable[[jax.Array], jax.Array], image: jax.Array, rows: jax.Array) -> jax.Array:
    """`change` of an image `[H, W]`, applied to the transposed image where `rows`: phase encoding along the first axis
    instead of the last.

    Args:
        change: maps an image to another of the same shape, of any height and width.
        image: `[H, W]`.
        rows: bool, may be traced.
    """
    return jax.lax.cond(rows, lambda image: change(image.T).T, change, image)
