"""The task-specific baseline: a U-Net with the residual units of Neuralizer and no context (paper, section 4.3)."""

from collections.abc import Sequence
from itertools import pairwise
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
    """The backbone of Neuralizer on the target alone. The output is linear. Other attributes are those of `Neuralizer`.

    Attributes:
        features: channels, one number or one for each stage. In the paper 64 (616,067 parameters with 3 channels in and
            out), and 256 for training on all data (9,837,059).

    Raises:
        ValueError: widths that do not fit the stages, or an array that does not fit the model.

    Example:
        >>> model, target_in = UNet(features=8, stages=2), jax.numpy.ones((1, 16, 16, 1))
        >>> variables = model.init(jax.random.key(0), target_in)
        >>> model.apply(variables, target_in).shape
        (1, 16, 16, 1)
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
        down = list(pairwise(widths))
        up = [(coarse, fine) for fine, coarse in reversed(down)]

        self.target_embedding = PointwiseConv(widths[0], (self.in_channels,), self.dtype)
        self.enc_blocks = [unit(width, self.convs, **common) for width in widths]
        self.target_down = [Downsample(fine, coarse, **common) for fine, coarse in down]
        self.target_merge = [UpsampleMerge(fine, (coarse, fine), **common) for coarse, fine in up]
        self.dec_blocks = [unit(fine, self.convs, **common) for _, fine in up]
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
        for stage, unit in enumerate(self.dec_blocks):
            target = unit(self.target_merge[stage](target, shortcuts.pop()))
        return self.output_block(target)
