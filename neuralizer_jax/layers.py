"""Layers of the networks: feature maps in, feature maps out, channels last.

Arrays are `[..., *spatial, C]`. The leading axes are the batch, or members and batch. Layers have as attributes the
number of channels in (`channels`) and out (`features`), of 3x3 convolutions (`convs`) and of spatial axes (`dim`, 2 or
3), and the dtype of the computation (None: that of the arguments and parameters).

Three
choices give the output of the published PyTorch model: GELU in its exact erf form, zero padding, and bilinear
upsampling with half-pixel centres.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype

from neuralizer_jax.convolution import convolve, convolve_pointwise


@partial(jax.jit, inline=True)
def gelu(x: jax.Array) -> jax.Array:
    """GELU in its exact form, `x / 2 (1 + erf(x / sqrt 2))`.

    `jax.nn.gelu(approximate=False)` computes the same with erfc, which XLA evaluates in three passes over memory.

    Example:
        >>> jnp.allclose(gelu(jnp.array([-1.0, 0.0, 1.0])), jnp.array([-0.1587, 0.0, 0.8413]), atol=1e-4).item()
        True
    """
    return 0.5 * x * (1 + jax.lax.erf(x * 0.5**0.5))


# Few sizes are drawn, because XLA takes up to a second to compile each: a longer draw begins with a shorter one.
# Compiled also because Flax traces every initializer whenever it traces the network, to compare shapes.
@partial(jax.jit, static_argnames=("size", "dtype"))
def _uniform(key, bound, size, dtype):
    return jax.random.uniform(key, (size,), dtype, -1, 1) / bound


@functools.cache
def fan_in_init(fan_in: int) -> nn.initializers.Initializer:
    """Uniform in +-1/sqrt(fan_in), the default of PyTorch's convolutions, for the kernel and for the bias.

    Example:
        >>> bias = fan_in_init(16)(jax.random.key(0), (8,))
        >>> bool((abs(bias) <= 0.25).all())
        True
    """

    def init(key, shape, dtype=jnp.float32):
        size = math.prod(shape)
        drawn = next(drawn for power in itertools.count(2) if (drawn := 16**power) >= size)
        return _uniform(key, fan_in**0.5, drawn, dtype)[:size].reshape(shape)

    return init


class Conv3(nn.Module):
    """3x3 (3x3x3) convolution with zero padding."""

    channels: int
    features: int
    dim: int = 2
    dtype: Any = None

    def setup(self):  # noqa: D102
        init = fan_in_init(3**self.dim * self.channels)
        self.kernel = self.param("kernel", init, (3,) * self.dim + (self.channels, self.features))
        self.bias = self.param("bias", init, (self.features,))

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[..., *spatial, channels] -> [..., *spatial, features]`."""
        x, kernel, bias = promote_dtype(x, self.kernel, self.bias, dtype=self.dtype)
        return convolve(x, kernel) + bias


class PointwiseConv(nn.Module):
    """1x1 convolution of the channel concatenation of its arguments, without concatenating them.

    `W [a; b] = W_a a + W_b b`: each part is multiplied at its own shape. The target, which all context members share,
    is multiplied once and then broadcast. Written as a matrix product, which XLA on CPUs computes about three times as
    fast as a 1x1 convolution.

    Attributes:
        part_channels: channels of each part, in the order of concatenation.

    Example:
        >>> layer = PointwiseConv(features=4, part_channels=(3, 1))
        >>> context, target = jnp.ones((5, 1, 16, 16, 3)), jnp.ones((1, 16, 16, 1))
        >>> layer.init_with_output(jax.random.key(0), context, target)[0].shape
        (5, 1, 16, 16, 4)
    """

    features: int
    part_channels: tuple[int, ...]
    dtype: Any = None

    def setup(self):  # noqa: D102
        fan_in = sum(self.part_channels)
        self.kernel = self.param("kernel", fan_in_init(fan_in), (fan_in, self.features))
        self.bias = self.param("bias", fan_in_init(fan_in), (self.features,))

    def part(self, index: int, x: jax.Array) -> jax.Array:
        """The product of one part, `[..., part_channels[index]] -> [..., features]`, without the bias."""
        start = sum(self.part_channels[:index])
        x, kernel = promote_dtype(x, self.kernel[start : start + self.part_channels[index]], dtype=self.dtype)
        return convolve_pointwise(x, kernel)

    def plus_bias(self, x: jax.Array) -> jax.Array:
        """Adds the bias: `[..., features] -> [..., features]`."""
        return x + self.bias.astype(x.dtype)

    def __call__(self, *parts: jax.Array) -> jax.Array:
        """`[..., part_channels[i]]` each -> `[..., features]`. The last part may lack leading axes of the others."""
        *first, last = (self.part(index, x) for index, x in enumerate(parts))
        return functools.reduce(lambda total, part: add_shared(part, total), first, self.plus_bias(last))


class UpsampleMerge(PointwiseConv):
    """Upsamples coarse features by 2, then a 1x1 convolution of their concatenation with the shortcut of the encoder.

    A 1x1 convolution and an interpolation commute, so the coarse part is convolved at its low resolution.
    """

    dim: int = 2

    def __call__(self, *parts: jax.Array) -> jax.Array:
        """`[..., *spatial / 2, C_coarse]`, `[..., *spatial, C_shortcut]` -> `[..., *spatial, features]`."""
        coarse, shortcut = parts
        return upsample(self.part(0, coarse), self.dim) + self.plus_bias(self.part(1, shortcut))


class ResidualUnit(nn.Module):
    """`gelu(x + h)`, where `h` is `x` after 3x3 convolutions with GELU between them."""

    features: int
    convs: int = 2
    dim: int = 2
    dtype: Any = None

    def setup(self):  # noqa: D102
        self.layers = [Conv3(self.features, self.features, self.dim, self.dtype) for _ in range(self.convs)]

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[..., *spatial, features]` -> the same shape."""
        first, *others = self.layers
        h = first(x)
        for layer in others:
            h = layer(gelu(h))
        return gelu(x + h)


class Downsample(nn.Module):
    """Halves the resolution: 2x2 max pool, or a 4x4 convolution with stride 2 where the width changes."""

    channels: int
    features: int
    dim: int = 2
    dtype: Any = None

    def setup(self):  # noqa: D102
        if self.channels != self.features:
            init = fan_in_init(4**self.dim * self.channels)
            self.linear_layer = nn.Conv(
                self.features, (4,) * self.dim, 2, padding=1, kernel_init=init, bias_init=init, dtype=self.dtype
            )

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[..., *spatial, channels] -> [..., *spatial / 2, features]`."""
        if self.channels != self.features:
            return self.linear_layer(x)
        return max_pool(x, self.dim)


class OutputBlock(nn.Module):
    """A residual unit and a 1x1 convolution to `out_channels`, which is computed in float32."""

    features: int
    out_channels: int
    convs: int = 2
    dim: int = 2
    dtype: Any = None

    def setup(self):  # noqa: D102
        self.unit = ResidualUnit(self.features, self.convs, self.dim, self.dtype)
        self.projection = PointwiseConv(self.out_channels, (self.features,), jnp.float32)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[..., *spatial, features]` -> float32 `[..., *spatial, out_channels]`."""
        return self.projection(self.unit(x))


@partial(jax.jit, static_argnums=1, inline=True)
def max_pool(x: jax.Array, dim: int) -> jax.Array:
    """2x2 (2x2x2) max pool with stride 2, `[..., *spatial, C] -> [..., *spatial / 2, C]`.

    Written as a maximum of strided slices: on a CPU its gradient takes 1/25 of the time of the gradient of a window
    reduction. Equal maxima share the gradient.

    Example:
        >>> max_pool(jnp.arange(16.0).reshape(1, 4, 4, 1), 2)[0, ..., 0].tolist()
        [[5.0, 7.0], [13.0, 15.0]]
    """
    for axis in range(x.ndim - 1 - dim, x.ndim - 1):
        even, odd = (jax.lax.slice_in_dim(x, first, None, stride=2, axis=axis) for first in (0, 1))
        x = jnp.maximum(even, odd)
    return x


@partial(jax.jit, static_argnums=1, inline=True)
def upsample(x: jax.Array, dim: int) -> jax.Array:
    """Bilinear (trilinear) upsampling by 2 with half-pixel centres, as PyTorch's `align_corners=False`.

    `[..., *spatial, C] -> [..., *2 spatial, C]`. Along an axis every output pixel is 3/4 of the nearest input pixel and
    1/4 of the next one on its side. A border pixel is its own neighbour.

    Example:
        >>> upsample(jnp.array([[0.0, 4.0]]).reshape(1, 1, 2, 1), 2)[0, 0, :, 0].tolist()
        [0.0, 1.0, 3.0, 4.0]
    """
    for axis in range(x.ndim - 1 - dim, x.ndim - 1):
        n = x.shape[axis]
        cut = functools.partial(jax.lax.slice_in_dim, x, axis=axis)
        before = jnp.concatenate([cut(0, 1), cut(0, n - 1)], axis)
        after = jnp.concatenate([cut(1, n), cut(n - 1, n)], axis)
        pair = jnp.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis=axis + 1)
        x = pair.reshape(*x.shape[:axis], 2 * n, *x.shape[axis + 1 :])
    return x


def add_shared(x: jax.Array, shared: jax.Array) -> jax.Array:
    """The sum of two arrays, `[..., *shape] + [*shape]`. On CPUs, only reverse-mode differentiation works.

    The gradient of the shared array is a sum over leading axes. XLA's CPU backend takes fifty times as long for it as
    for reading the array. Written as additions of slices, it becomes one pass over memory.
    """
    axes = x.ndim - shared.ndim
    return _add_on_cpu(axes, x, shared) if axes and jax.default_backend() == "cpu" else x + shared


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _add_on_cpu(axes, x, shared):
    return x + shared


def _add_gradient(axes, _, gradient):
    total = gradient
    for _ in range(axes):
        total = sum(part.astype(jnp.float32) for part in total)
    return gradient, total.astype(gradient.dtype)


_add_on_cpu.defvjp(lambda axes, x, shared: (x + shared, None), _add_gradient)


def pad_channels(x: jax.Array, channels: int) -> jax.Array:
    """Appends zero channels, `[..., C] -> [..., channels]`. Raises ValueError if C exceeds `channels`.

    Example:
        >>> pad_channels(jnp.ones((1, 16, 16, 1)), 3).shape
        (1, 16, 16, 3)
    """
    missing = channels - x.shape[-1]
    if missing < 0:
        raise ValueError(f"array of shape {x.shape} has {x.shape[-1]} channels, the model takes at most {channels}")
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)]) if missing else x


def stage_widths(features: int | Sequence[int], stages: int) -> tuple[int, ...]:
    """Channels of each stage, finest first; one number counts for all. Raises ValueError if the lengths differ.

    Example:
        >>> stage_widths(8, stages=3)
        (8, 8, 8)
    """
    widths = (features,) * stages if isinstance(features, int) else tuple(features)
    if len(widths) != stages or min(widths, default=0) < 1:
        raise ValueError(f"features is {features}, expected one positive number or {stages}, one for each stage")
    return widths


def check_target(target_in: jax.Array, dim: int, stages: int) -> None:
    """Raises ValueError unless the array is `[B, *spatial, C]` with sizes that can be halved `stages - 1` times."""
    divisor = 2 ** (stages - 1)
    if target_in.ndim != dim + 2:
        raise ValueError(f"target_in has shape {target_in.shape}, expected [B, {dim} spatial sizes, C]")
    if any(size == 0 or size % divisor for size in target_in.shape[1:-1]):
        raise ValueError(f"target_in has shape {target_in.shape}, expected spatial sizes divisible by {divisor}")
