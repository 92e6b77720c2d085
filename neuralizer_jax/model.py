"""The Neuralizer network: a target and a context set in, the target's output out.

A U-Net of Pairwise-Conv-Avg blocks (Czolbe and Dalca, CVPR 2023, section 3.2): in every block each context member meets
the target, and the target takes up the average of what the members tell it. Inside, the context stands members-first,
`[N, B, *spatial, C]`: mapped over axis 0 a convolution folds the members into its batch without moving data.

Gives the published PyTorch code's output with less work: 1x1 convolutions of concatenated channels are split into their
parts (`layers.PointwiseConv`), and since the average is linear, members are averaged before the 1x1 convolution instead
of after it.
"""

import functools
from collections.abc import Callable, Sequence
from functools import partial
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


# Cached: a transformed class takes Flax two milliseconds to make, and each tracing of the network asks for dozens.
@functools.cache
def over_members(module: type[nn.Module]) -> Callable[..., nn.Module]:
    """The module applied to each context member, axis 0, with one set of parameters for all of them."""
    return nn.vmap(module, in_axes=0, out_axes=0, variable_axes={"params": None}, split_rngs={"params": False})


@functools.cache
def one_after_another(module: type[nn.Module]) -> Callable[..., nn.Module]:
    """As `over_members`, but one member at a time, and nothing is kept for the backward pass but what goes in.

    A loop, since it is the one thing that XLA does not take apart: elsewhere on a CPU it finds that a recomputed value
    is the same as the one before, and keeps that.
    """

    class OneMember(module):
        def __call__(self, carry, member):
            return carry, module.__call__(self, member)

    return nn.scan(nn.remat(OneMember, prevent_cse=False), variable_broadcast="params", split_rngs={"params": False})


class MemberMean(nn.Module):
    """Average over the valid context members, the aggregation of the published model.

    Another aggregation is a module with the same arguments and result: any weighted mean of the members, with weights
    computed from the target and the members (the paper tried attention too), passed as
    `Neuralizer(aggregation=...)`.
    """

    def __call__(self, target: jax.Array, context: jax.Array, context_mask: jax.Array) -> jax.Array:
        """Averages members.

        Args:
            target: `[B, *spatial, C]`, not used by the plain mean.
            context: `[N, B, *spatial, C]`, finite also where masked.
            context_mask: bool `[N, B]`, False for padding.

        Returns:
            `[B, *spatial, C]`, summed in float32, in the context's type.
        """
        del target
        # As a product with the mask: XLA fuses a sum over axis 0 into kernels that take twice the time and memory.
        valid = context_mask.astype(context.dtype)
        total = jnp.einsum("nb,nb...->b...", valid, context, preferred_element_type=jnp.float32)
        members = jnp.sum(context_mask, axis=0, dtype=jnp.float32)
        return (total / members.reshape(-1, *[1] * (total.ndim - 1))).astype(context.dtype)


class PairwiseConvAvg(nn.Module):
    """The Pairwise-Conv-Avg block: residual units, then target and every context member update each other.

    Another block is a module with these attributes and this call, passed as `Neuralizer(block=...)`.

    Attributes:
        features: channels in and out.
        convs: 3x3 convolutions of a residual unit.
        dim: number of spatial axes, 2 or 3.
        aggregation: makes the module that combines the members, `MemberMean` by default.
        dtype: type to compute in.
        remat: compute the members' residual units one after another, and again in the backward pass.
    """

    features: int
    convs: int = 2
    dim: int = 2
    aggregation: Callable[[], nn.Module] = MemberMean
    dtype: Any = None
    remat: bool = False

    def setup(self):  # noqa: D102
        unit = {"features": self.features, "convs": self.convs, "dim": self.dim, "dtype": self.dtype}
        pair = {"features": self.features, "part_channels": (self.features, self.features), "dtype": self.dtype}
        self.context_conv = (one_after_another if self.remat else over_members)(ResidualUnit)(**unit)
        self.target_conv = ResidualUnit(**unit)
        self.aggregate = self.aggregation()
        self.combine_conv_target = PointwiseConv(**pair)
        self.combine_conv_context = PointwiseConv(**pair)

    def __call__(self, target: jax.Array, context: jax.Array, context_mask: jax.Array) -> tuple[jax.Array, jax.Array]:
        """`[B, *spatial, C]`, `[N, B, *spatial, C]`, bool `[N, B]` -> the updated target and context."""
        target, context = self.target_conv(target), self.context_unit(context)
        average = self.aggregate(target, context, context_mask)
        return self.update_target(target, average), self.update_context(context, target)

    def context_unit(self, context: jax.Array) -> jax.Array:
        """The residual unit of each member, `[N, B, *spatial, C]` -> the same."""
        if self.remat:
            _, context = self.context_conv((), context)
            return context
        return self.context_conv(context)

    def update_target(self, target: jax.Array, average: jax.Array) -> jax.Array:
        """The target behind its unit, and the average of the members behind theirs -> the target behind the block."""
        return gelu(target + self.combine_conv_target(average, target))

    def update_context(self, context: jax.Array, target: jax.Array) -> jax.Array:
        """Members behind their unit, and the target behind its unit -> the members behind the block."""
        return gelu(context + self.combine_conv_context(context, target))


class Neuralizer(nn.Module):
    """One network for any image-to-image task that a context set shows.

    `model.apply({"params": params}, target_in, context_in, context_out, context_mask)`. The output is linear. It is
    invariant to the order of the context members and to repeating the whole set; masked members have no influence.

    Attributes:
        features: channels, one number or one for each stage. The published model: 64, 1,273,859 parameters.
        stages: resolutions of the U-Net; each spatial size must be divisible by 2^(stages - 1).
        in_channels: channels of target and context inputs (unused ones zero).
        out_channels: channels of the output and of the context outputs; the published model has 3 and uses the first.
        convs: 3x3 convolutions of a residual unit.
        dim: number of spatial axes, 2 or 3.
        block: makes a stage from `(features, convs, dim, aggregation, dtype)`.
        aggregation: makes the module that combines the context members in a block.
        dtype: type to compute in, for example `jnp.bfloat16`; parameters, average and output stay float32.
        remat: recompute activations in the backward pass instead of keeping them: half the memory.
        segmentation_sigmoid: whether the output for a segmentation is a logit. Not applied here, since the network does
            not know the task, but by losses and inference.

    Raises:
        ValueError: widths that do not fit the stages, or arrays that do not fit the model.
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
        coarse_to_fine = list(zip(widths[:0:-1], widths[-2::-1], strict=True))

        self.target_embedding = PointwiseConv(widths[0], (self.in_channels,), self.dtype)
        self.context_embedding = over_members(PointwiseConv)(
            widths[0], (self.in_channels, self.out_channels), self.dtype
        )
        self.enc_blocks = [block(width) for width in widths]
        down = [{"channels": fine, "features": coarse, **common} for coarse, fine in reversed(coarse_to_fine)]
        self.target_down = [Downsample(**arguments) for arguments in down]
        self.context_down = [over_members(Downsample)(**arguments) for arguments in down]
        merge = [{"features": fine, "part_channels": (coarse, fine), **common} for coarse, fine in coarse_to_fine]
        self.target_merge = [UpsampleMerge(**arguments) for arguments in merge]
        self.context_merge = [over_members(UpsampleMerge)(**arguments) for arguments in merge]
        self.dec_blocks = [block(fine) for _, fine in coarse_to_fine]
        self.output_block = OutputBlock(widths[0], self.out_channels, self.convs, **common)

    def __call__(
        self,
        target_in: jax.Array,
        context_in: jax.Array,
        context_out: jax.Array,
        context_mask: jax.Array | None = None,
    ) -> jax.Array:
        """Predicts the target's output.

        Args:
            target_in: `[B, *spatial, C]`, intensities in [0, 1], C at most `in_channels`: the others are zero.
            context_in: `[B, N, *spatial, C]`, likewise.
            context_out: `[B, N, *spatial, C]`, C at most `out_channels`.
            context_mask: bool `[B, N]`, False for padding, at least one True in a row; None: all valid.

        Returns:
            float32 `[B, *spatial, out_channels]`.
        """
        check_target(target_in, self.dim, self.stages)
        check_context(target_in, context_in, context_out, context_mask)
        if context_mask is None:
            context_mask = jnp.ones(context_in.shape[:2], bool)
        valid = context_mask.reshape(context_mask.shape + (1,) * (self.dim + 1))
        # A masked member may hold anything; as zeros it stays finite, and the average gives it no weight.
        context_in, context_out = (jnp.where(valid, x, 0) for x in (context_in, context_out))
        context_in, context_out, context_mask = (jnp.moveaxis(x, 1, 0) for x in (context_in, context_out, context_mask))

        target, context = self.embed_target(target_in), self.embed_context(context_in, context_out)
        target_shortcuts, context_shortcuts = (), ()
        for index, block in enumerate(self.blocks):
            # The last block's context is never read: the compiler drops its update.
            target, context = block(target, context, context_mask)
            target, target_shortcuts = self.leave_block(index, target, target_shortcuts)
            context, context_shortcuts = self.leave_block(index, context, context_shortcuts, of_context=True)
        return self.output_block(target)

    @property
    def blocks(self) -> tuple[nn.Module, ...]:
        """The blocks from the input to the output, `2 stages - 1`."""
        return (*self.enc_blocks, *self.dec_blocks)

    def embed_target(self, target_in: jax.Array) -> jax.Array:
        """`[B, *spatial, C]` as the model takes them -> what goes into the first block."""
        return self.target_embedding(pad_channels(target_in, self.in_channels))

    def embed_context(self, context_in: jax.Array, context_out: jax.Array) -> jax.Array:
        """`[N, B, *spatial, C]`, members first -> what goes into the first block."""
        return self.context_embedding(
            pad_channels(context_in, self.in_channels), pad_channels(context_out, self.out_channels)
        )

    def leave_block(
        self, index: int, x: jax.Array, shortcuts: tuple[jax.Array, ...], *, of_context: bool = False
    ) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """From behind a block to the next one's entry: down to half the resolution, or up to twice of it.

        Args:
            index: which of the `blocks`.
            x: target, or with `of_context` the context, behind it.
            shortcuts: what the way down left for the way up.
            of_context: whose x is.

        Returns:
            What goes into the next block, after the last one `x`; and the shortcuts that are left.
        """
        down, merge = (self.context_down, self.context_merge) if of_context else (self.target_down, self.target_merge)
        if index < len(down):
            return down[index](x), (*shortcuts, x)
        if shortcuts:
            return merge[index - len(down)](x, shortcuts[-1]), shortcuts[:-1]
        return x, ()


def check_context(
    target_in: jax.Array, context_in: jax.Array, context_out: jax.Array, context_mask: jax.Array | None
) -> None:
    """Raises ValueError unless the context has the target's batch and size, and one output and mask entry a member."""
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
