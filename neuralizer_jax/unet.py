"""The task-specific baseline: a U-Net with Neuralizer's residual units and no context (paper, section 4.3)."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax

from neuralizer_jax.layers import (
    Downsample,
    OutputBlock,
    PointwiseConv,
    ResidualUnit,
    UpsampleMerge,
    check_target,
    pad_channels,
    stage_widths,
)


class UNet(nn.Module):
    """Neuralizer's backbone on the target alone. `model.apply({"params": params}, target_in)`; the output is linear.

    Attributes:
        features: channels, one number or one for each stage. The paper's: 64 (616,067 parameters with 3 channels in and
            out), 256 with all the data (9,837,059).
        stages: resolutions; each spatial size must be divisible by 2^(stages - 1).
        in_channels: channels of the input (unused ones zero).
        out_channels: channels of the output.
        convs: 3x3 convolutions of a residual unit.
        dim: number of spatial axes, 2 or 3.
        dtype: type to compute in; parameters and output stay float32.
        remat: recompute the units' activations in the backward pass instead of keeping them.
        segmentation_sigmoid: whether the output for a segmentation is a logit (applied by losses and inference).

    Raises:
        ValueError: widths that do not fit the stages, or an array that does not fit the model.
    """

    features: int | Sequence[int] = 64
    stages: int = 4
    in_channels: int = 3
    out_channels: int = 1
    convs: int = 2
    dim: int = 2
    dtype: Any = None
    remat: bool = False
    segmentation_sigmoid: bool = False

    def setup(self):  # noqa: D102
        widths = stage_widths(self.features, self.stages)
        common = {"dim": self.dim, "dtype": self.dtype}
        unit = nn.remat(ResidualUnit) if self.remat else ResidualUnit
        coarse_to_fine = list(zip(widths[:0:-1], widths[-2::-1], strict=True))

        self.target_embedding = PointwiseConv(widths[0], (self.in_channels,), self.dtype)
        self.enc_blocks = [unit(width, self.convs, **common) for width in widths]
        self.target_down = [Downsample(fine, coarse, **common) for coarse, fine in reversed(coarse_to_fine)]
        self.target_merge = [UpsampleMerge(fine, (coarse, fine), **common) for coarse, fine in coarse_to_fine]
        self.dec_blocks = [unit(fine, self.convs, **common) for _, fine in coarse_to_fine]
        self.output_block = OutputBlock(widths[0], self.out_channels, self.convs, **common)

    def __call__(self, target_in: jax.Array) -> jax.Array:
        """`[B, *spatial, C]`, C at most `in_channels` -> float32 `[B, *spatial, out_channels]`."""
        check_target(target_in, self.dim, self.stages)
        target = self.target_embedding(pad_channels(target_in, self.in_channels))
        shortcuts = []
        for stage, unit in enumerate(self.enc_blocks):
            target = unit(target)
            if stage < self.stages - 1:
                shortcuts.append(target)
                target = self.target_down[stage](target)
        for merge, unit in zip(self.target_merge, self.dec_blocks, strict=True):
            target = unit(merge(target, shortcuts.pop()))
        return self.output_block(target)
