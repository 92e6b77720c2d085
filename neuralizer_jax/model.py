"""The Neuralizer network: a target and its context set in, the target's output out.

A U-Net of Pairwise-Conv-Avg blocks (Czolbe and Dalca, CVPR 2023, section 3.2). In every block, each context member
interacts with the target, and the target is updated with the average over the members. Inside the network, the context
is members-first, `[N, B, *spatial, C]`, so that layers fold members into the batch without moving data.

The output equals that of the published PyTorch code, with less work: a 1x1 convolution of concatenated channels is
split into its parts (`layers.PointwiseConv`), and members are averaged before the 1x1 convolution instead of after it,
which is the same because the average is linear.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from neuralizer_jax.layers import (
    Downsample,
    OutputBlock,
    PointwiseConv,
    ResidualUnit,
    UpsampleMerge,
    check_target,
    gelu,
    pad_channels,
    stage_widths,
)


class MemberMean(nn.Module):
    """Average over the valid context members, the aggregation of the published model.

    Another aggregation is a module with the same arguments and result, passed as `Neuralizer(aggregation=...)`: any
    weighted mean of the members, with weights computed from the target and the members. The paper also tried attention.

    Example:
        >>> context = jnp.arange(3.0).reshape(3, 1, 1, 1, 1)  # N, B, H, W, C
        >>> mask = jnp.array([[True], [True], [False]])
        >>> MemberMean().apply({}, context[0], context, mask).item()
        0.5
    """

    def __call__(self, target: jax.Array, context: jax.Array, context_mask: jax.Array) -> jax.Array:
        """Averages the members.

        Args:
            target: `[B, *spatial, C]`, not used by the plain mean.
            context: `[N, B, *spatial, C]`, finite also where masked.
            context_mask: bool `[N, B]`, False for padding.

        Returns:
            `[B, *spatial, C]`, summed in float32, in the dtype of `context`.
        """
        del target
        # As a product with the mask: XLA fuses a sum over axis 0 into kernels that take twice the time and memory.
        valid = context_mask.astype(context.dtype)
        total = jnp.einsum("nb,nb...->b...", valid, context, preferred_element_type=jnp.float32)
        members = jnp.sum(context_mask, axis=0, dtype=jnp.float32)
        return (total / members.reshape(-1, *[1] * (total.ndim - 1))).astype(context.dtype)


class PairwiseConvAvg(nn.Module):
    """The Pairwise-Conv-Avg block: a residual unit each, then target and context members update each other.

    Another block is a module with these attributes and this call, passed as `Neuralizer(block=...)`.

    Attributes:
        features: channels in and out.
        convs: 3x3 convolutions of a residual unit.
        dim: number of spatial axes, 2 or 3.
        aggregation: makes the module that combines the members, `MemberMean` by default.
        dtype: dtype of the computation.
        remat: compute the residual units of the members one by one, and again in the backward pass.

    Example:
        >>> block = PairwiseConvAvg(features=8)
        >>> target, context, mask = jnp.ones((1, 16, 16, 8)), jnp.ones((3, 1, 16, 16, 8)), jnp.ones((3, 1), bool)
        >>> variables = block.init(jax.random.key(0), target, context, mask)
        >>> target, context = block.apply(variables, target, context, mask)
        >>> target.shape, context.shape
        ((1, 16, 16, 8), (3, 1, 16, 16, 8))
    """

    features: int
    convs: int = 2
    dim: int = 2
    aggregation: Callable[[], nn.Module] = MemberMean
    dtype: Any = None
    remat: bool = False

    def setup(self):  # noqa: D102
        pair = (self.features, self.features)
        self.context_conv = ResidualUnit(self.features, self.convs, self.dim, self.dtype)
        self.target_conv = ResidualUnit(self.features, self.convs, self.dim, self.dtype)
        self.aggregate = self.aggregation()
        self.combine_conv_target = PointwiseConv(self.features, pair, self.dtype)
        self.combine_conv_context = PointwiseConv(self.features, pair, self.dtype)

    def __call__(self, target: jax.Array, context: jax.Array, context_mask: jax.Array) -> tuple[jax.Array, jax.Array]:
        """`[B, *spatial, C]`, `[N, B, *spatial, C]`, bool `[N, B]` -> the updated target and context."""
        target, context = self.target_conv(target), self.context_unit(context)
        average = self.aggregate(target, context, context_mask)
        return self.update_target(target, average), self.update_context(context, target)

    def context_unit(self, context: jax.Array) -> jax.Array:
        """The residual unit of each member, `[N, B, *spatial, C]` -> the same shape."""
        if not self.remat:
            return self.context_conv(context)

        # A loop over members: XLA on CPUs would merge an unrolled recomputation with the first one and keep its values.
        def one_member(unit, carry, member):
            return carry, unit(member)

        one_member = nn.remat(one_member, prevent_cse=False)
        loop = nn.scan(one_member, variable_broadcast="params", split_rngs={"params": False})
        return loop(self.context_conv, (), context)[1]

    def update_target(self, target: jax.Array, average: jax.Array) -> jax.Array:
        """Target after its residual unit, and the average of the members after theirs -> target after the block."""
        return gelu(target + self.combine_conv_target(average, target))

    def update_context(self, context: jax.Array, target: jax.Array) -> jax.Array:
        """Members and target, each after its residual unit -> members after the block."""
        return gelu(context + self.combine_conv_context(context, target))


class Neuralizer(nn.Module):
    """One network for every image-to-image task that a context set shows.

    The output is linear. It does not depend on the order of the context members, nor on repeating the whole set. Masked
    members have no influence.

    Attributes:
        features: channels, one number or one for each stage. The published model: 64 (1,273,859 parameters).
        stages: resolutions of the U-Net; each spatial size must be divisible by `2 ** (stages - 1)`.
        in_channels: channels of target and context inputs. Missing ones are filled with zeros.
        out_channels: channels of the output and of the context outputs. The published model has 3 and uses the first.
        convs: 3x3 convolutions of a residual unit.
        dim: number of spatial axes, 2 or 3.
        block: makes a stage, called with `features`, `convs`, `dim`, `aggregation` and `dtype`.
        aggregation: makes the module that combines the context members in a block.
        dtype: dtype of the computation, for example `jnp.bfloat16`. Parameters, averages and output stay float32.
        remat: recompute activations in the backward pass instead of keeping them, which halves the memory.
        segmentation_sigmoid: whether the output for a segmentation is a logit. The network does not know the task, so
            losses and inference apply the sigmoid.

    Raises:
        ValueError: widths that do not fit the stages, or arrays that do not fit the model.

    Example:
        >>> model = Neuralizer(features=8, stages=2)
        >>> target_in, context_in = jnp.ones((1, 16, 16, 1)), jnp.ones((1, 3, 16, 16, 1))
        >>> variables = model.init(jax.random.key(0), target_in, context_in, context_in)
        >>> model.apply(variables, target_in, context_in, context_in).shape
        (1, 16, 16, 1)
    """

    features: int | Sequence[int] = 64
    stages: int = 4
    in_channels: int = 3
    out_channels: int = 1
    convs: int = 2
    dim: int = 2
    block: Callable[..., nn.Module] = PairwiseConvAvg
    aggregation: Callable[[], nn.Module] = MemberMean
    dtype: Any = None
    remat: bool = False
    segmentation_sigmoid: bool = False

    def setup(self):  # noqa: D102
        widths = stage_widths(self.features, self.stages)
        common = {"dim": self.dim, "dtype": self.dtype}
        block = self.block
        if self.remat:
            block = partial(block, remat=True) if block is PairwiseConvAvg else nn.remat(block)
        block = partial(block, convs=self.convs, aggregation=self.aggregation, **common)
        down = list(pairwise(widths))
        up = [(coarse, fine) for fine, coarse in reversed(down)]

        self.target_embedding = PointwiseConv(widths[0], (self.in_channels,), self.dtype)
        self.context_embedding = PointwiseConv(widths[0], (self.in_channels, self.out_channels), self.dtype)
        self.enc_blocks = [block(width) for width in widths]
        self.target_down = [Downsample(fine, coarse, **common) for fine, coarse in down]
        self.context_down = [Downsample(fine, coarse, **common) for fine, coarse in down]
        self.target_merge = [UpsampleMerge(fine, (coarse, fine), **common) for coarse, fine in up]
        self.context_merge = [UpsampleMerge(fine, (coarse, fine), **common) for coarse, fine in up]
        self.dec_blocks = [block(fine) for _, fine in up]
        self.output_block = OutputBlock(widths[0], self.out_channels, self.convs, **common)

    def __call__(
        self,
        target_in: jax.Array,
        context_in: jax.Array,
        context_out: jax.Array,
        context_mask: jax.Array | None = None,
    ) -> jax.Array:
        """Predicts the output of the target.

        Args:
            target_in: `[B, *spatial, C]`, intensities in [0, 1], C at most `in_channels`.
            context_in: `[B, N, *spatial, C]`, likewise.
            context_out: `[B, N, *spatial, C]`, C at most `out_channels`.
            context_mask: bool `[B, N]`, False for padding, at least one True in a row; None: all are valid.

        Returns:
            float32 `[B, *spatial, out_channels]`.
        """
        check_target(target_in, self.dim, self.stages)
        check_context(target_in, context_in, context_out, context_mask)
        context_in, context_out, mask = members_first(context_in, context_out, context_mask)

        target, context = self.embed_target(target_in), self.embed_context(context_in, context_out)
        shortcuts = []
        for stage, block in enumerate(self.enc_blocks):
            target, context = block(target, context, mask)
            if stage < self.stages - 1:
                shortcuts.append((target, context))
                target, context = self.target_down[stage](target), self.context_down[stage](context)
        for stage, block in enumerate(self.dec_blocks):
            target_shortcut, context_shortcut = shortcuts.pop()
            target = self.target_merge[stage](target, target_shortcut)
            context = self.context_merge[stage](context, context_shortcut)
            target, context = block(target, context, mask)
        # The context of the last block is never read: the compiler drops its update.
        return self.output_block(target)

    def embed_target(self, target_in: jax.Array) -> jax.Array:
        """Target as the model takes it, `[B, *spatial, C]` -> input of the first block."""
        return self.target_embedding(pad_channels(target_in, self.in_channels))

    def embed_context(self, context_in: jax.Array, context_out: jax.Array) -> jax.Array:
        """Context as `members_first` gives it, `[N, B, *spatial, C]` -> input of the first block."""
        return self.context_embedding(
            pad_channels(context_in, self.in_channels), pad_channels(context_out, self.out_channels)
        )


def members_first(
    context_in: jax.Array, context_out: jax.Array, context_mask: jax.Array | None
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Swaps batch and members, `[B, N, ...] -> [N, B, ...]`, and sets masked members to zero.

    Masked members may hold NaN. As zeros they stay finite, and the average gives them no weight.
    """
    if context_mask is None:
        context_mask = jnp.ones(context_in.shape[:2], bool)
    valid = context_mask.reshape(context_mask.shape + (1,) * (context_in.ndim - 2))
    context_in, context_out = (jnp.where(valid, x, 0) for x in (context_in, context_out))
    return jnp.moveaxis(context_in, 1, 0), jnp.moveaxis(context_out, 1, 0), jnp.moveaxis(context_mask, 1, 0)


def check_context(
    target_in: jax.Array, context_in: jax.Array, context_out: jax.Array, context_mask: jax.Array | None
) -> None:
    """Raises ValueError unless the context has the batch and size of the target, and an output and mask per member."""
    batch, *size, _ = target_in.shape
    for name, x in (("context_in", context_in), ("context_out", context_out)):
        if x.ndim != target_in.ndim + 1 or [x.shape[0], *x.shape[2:-1]] != [batch, *size]:
            raise ValueError(f"{name} has shape {x.shape}, expected [{batch}, N, {', '.join(map(str, size))}, C]")
    members = context_in.shape[1]
    if members == 0 or context_out.shape[1] != members:
        raise ValueError(
            f"context has {members} inputs and {context_out.shape[1]} outputs, expected one output an input"
        )
    if context_mask is not None and context_mask.shape != (batch, members):
        raise ValueError(f"context_mask has shape {context_mask.shape}, expected {(batch, members)}")
