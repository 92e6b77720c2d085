"""The 3x3 and 1x1 convolutions, with weight gradients that are fast on CPUs.

XLA's CPU backend computes the weight gradient of a convolution six to ten times slower than the convolution itself. As
matrix products of a few rows with their neighbourhood, the gradient takes twice the time of the convolution, also when
it is mapped over context members.

A 1x1 convolution is a matrix product. JAX computes the gradient of its weights transposed. XLA's CPU backend then
writes the gradient of the output pixels in columns, which is slow if that gradient has yet to be computed.

On other devices, JAX differentiates the plain convolution. A gradient of our own would be mapped over members after it
is written down, so its convolutions would have one group per member. On an H100 that took five sixths of a step.
"""

import itertools
import math

import jax
import jax.numpy as jnp
from jax import lax

# Rows per block in `_kernel_gradient`, so that a block fits in the cache.
_ROWS = 8


def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolution with stride 1 and zero padding that keeps the size. On CPUs, only reverse-mode differentiation works.

    Args:
        x: `[..., *spatial, C]`, with one leading axis or more.
        kernel: `[*window, C, features]` with an odd window.

    Returns:
        `[..., *spatial, features]`.

    Example:
        >>> convolve(jnp.ones((1, 3, 3, 1)), jnp.ones((3, 3, 1, 1)))[0, ..., 0].tolist()
        [[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]
    """
    convolution = _convolve_on_cpu if jax.default_backend() == "cpu" else _convolve
    for _ in range(x.ndim - kernel.ndim):
        convolution = jax.vmap(convolution, in_axes=(0, None))
    return convolution(x, kernel)


def convolve_pointwise(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """1x1 convolution, `[..., C]`, `[C, features] -> [..., features]`. On CPUs, only in reverse mode, as `convolve`.

    Example:
        >>> convolve_pointwise(jnp.ones((1, 2, 2, 3)), jnp.ones((3, 1)))[0, ..., 0].tolist()
        [[3.0, 3.0], [3.0, 3.0]]
    """
    return (_multiply_on_cpu if jax.default_backend() == "cpu" else jnp.matmul)(x, kernel)


def _convolve(x, kernel):
    spatial = "HWD"[: x.ndim - 2]
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(1,) * len(spatial),
        padding=[(size // 2, size // 2) for size in kernel.shape[:-2]],
        dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
    )


@jax.custom_vjp
def _multiply_on_cpu(x, kernel):
    return x @ kernel


def _multiply_backward(saved, gradient):
    x, kernel = saved
    pixels, pixel_gradients = (array.reshape(-1, array.shape[-1]) for array in (x, gradient))
    kernel_gradient = jnp.dot(pixels.T, pixel_gradients, preferred_element_type=jnp.float32)
    return gradient @ kernel.T, kernel_gradient.astype(kernel.dtype)


_multiply_on_cpu.defvjp(lambda x, kernel: (x @ kernel, (x, kernel)), _multiply_backward)


@jax.custom_vjp
def _convolve_on_cpu(x, kernel):
    return _convolve(x, kernel)


def _backward(saved, gradient):
    x, kernel = saved
    window = tuple(range(kernel.ndim - 2))
    flipped = jnp.swapaxes(jnp.flip(kernel, window), -1, -2)
    return _convolve(gradient, flipped), _kernel_gradient(x, gradient, window=kernel.shape[:-2])


def _kernel_gradient(x, gradient, *, window):
    """Products of the input with the gradient shifted by each offset, summed over pixels: `[*window, C, features]`."""
    length, *others = x.shape[1:-1]
    channels, features = x.shape[-1], gradient.shape[-1]
    rows = max(rows for rows in range(1, _ROWS + 1) if length % rows == 0)
    parts = length // rows
    padded = jnp.pad(gradient, [(0, 0), *((n // 2, n // 2) for n in window), (0, 0)])

    def rows_of(array, part, count):
        start = (part // parts, part % parts * rows, *[0] * (array.ndim - 2))
        return lax.dynamic_slice(array, start, (1, count, *array.shape[2:]))[0]

    def add_part(total, part):
        here = rows_of(x, part, rows).reshape(-1, channels)
        around = rows_of(padded, part, rows + window[0] - 1)
        # The gradient for an offset of the kernel is shifted by the opposite offset.
        shifted = [
            around[tuple(slice(start, start + size) for start, size in zip(offset, (rows, *others), strict=True))]
            for offset in itertools.product(*(range(n - 1, -1, -1) for n in window))
        ]
        shifted = jnp.concatenate(shifted, axis=-1).reshape(len(here), -1)
        # Transposed behind a barrier, else the compiler chooses a slower product.
        transposed = lax.optimization_barrier(here.T)
        return total + jnp.dot(transposed, shifted, preferred_element_type=jnp.float32), None

    total = jnp.zeros((channels, math.prod(window) * features), jnp.float32)
    total, _ = lax.scan(add_part, total, jnp.arange(len(x) * parts))
    return jnp.moveaxis(total.reshape(channels, *window, features), 0, -2).astype(x.dtype)


_convolve_on_cpu.defvjp(lambda x, kernel: (_convolve(x, kernel), (x, kernel)), _backward)
