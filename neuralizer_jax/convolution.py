"""The 3x3 convolution of the residual units, with a weight gradient that is fast on CPUs.

XLA's CPU backend computes the weight gradient of a convolution six to ten times slower than the convolution itself. As
one matrix product for each offset of the window it takes a fifth of that time, and, which matters for a module that is
mapped over context members, no longer when mapped.

Elsewhere the convolution is left as it is, for JAX to map and to differentiate. A gradient of one's own is mapped after
it is written down: its convolutions then have a group for each member, which on an H100 took five sixths of a step.
"""

import itertools

import jax
import jax.numpy as jnp
from jax import lax


def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolution with stride 1 and zero padding that keeps the size. On CPUs differentiable in reverse mode alone.

    Args:
        x: `[B, *spatial, C]`.
        kernel: `[*window, C, features]` with an odd window.

    Returns:
        `[B, *spatial, features]`.
    """
    return (_convolve_on_cpu if jax.default_backend() == "cpu" else _convolve)(x, kernel)


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
def _convolve_on_cpu(x, kernel):
    return _convolve(x, kernel)


def _forward(x, kernel):
    return _convolve(x, kernel), (x, kernel)


def _backward(saved, gradient):
    x, kernel = saved
    window = tuple(range(kernel.ndim - 2))
    flipped = jnp.swapaxes(jnp.flip(kernel, window), -1, -2)
    return _convolve(gradient, flipped), _kernel_gradient(x, gradient, window=kernel.shape[:-2])


def _kernel_gradient(x, gradient, *, window):
    """`[*window, C, features]`: for each offset, the shifted input's product with the gradient, summed over pixels."""
    padded = jnp.pad(x, [(0, 0), *((n // 2, n // 2) for n in window), (0, 0)])
    gradient = gradient.reshape(-1, gradient.shape[-1])

    def product(offset):
        shifted = lax.dynamic_slice(padded, (0, *offset, 0), x.shape)
        return jnp.einsum("pi,po->io", shifted.reshape(-1, x.shape[-1]), gradient, preferred_element_type=jnp.float32)

    # A loop, so that one shifted copy of the input is in memory at a time.
    offsets = jnp.array(list(itertools.product(*map(range, window))))
    return lax.map(product, offsets).astype(x.dtype).reshape(*window, x.shape[-1], gradient.shape[-1])


_convolve_on_cpu.defvjp(_forward, _backward)
