"""The published architecture in plain PyTorch: what our own model is compared with, number for number.

Comes in: arrays as PyTorch has them, channels before space, context members on the second axis.
Goes out: the network's output, and a state dict with exactly the tensor names of the published weights.

Nothing here is clever on purpose: context and target are concatenated, every 1x1 convolution sees every member, and the
average over the members comes last.
"""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
MAX_POOL = {2: F.max_pool2d, 3: F.max_pool3d}
LINEAR_MODE = {2: "bilinear", 3: "trilinear"}


def widths_of(inner_channels, stages):
    """One width a stage: an int or a list of one stands for the same width everywhere."""
    widths = [inner_channels] if isinstance(inner_channels, int) else list(inner_channels)
    widths = widths * stages if len(widths) == 1 else widths
    assert len(widths) == stages, f"{len(widths)} widths for {stages} stages"
    return widths


class Members(nn.Module):
    """One module applied to every context member: [B, L, C, *S] -> [B, L, C', *S']."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, members):
        folded = self.module(members.flatten(0, 1))
        return folded.unflatten(0, members.shape[:2])


class ResidualUnit(nn.Module):
    """gelu(x + conv(gelu(... conv(x))))."""

    def __init__(self, dim, channels, conv_layers):
        super().__init__()
        layers = []
        for _ in range(conv_layers):
            layers += [CONV[dim](channels, channels, 3, padding=1), nn.GELU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x):
        return F.gelu(x + self.layers(x))


class PairwiseConvAvg(nn.Module):
    """The block in which target and context meet."""

    def __init__(self, dim, channels, conv_layers):
        super().__init__()
        self.context_conv = Members(ResidualUnit(dim, channels, conv_layers))
        self.target_conv = ResidualUnit(dim, channels, conv_layers)
        self.combine_conv_target = Members(CONV[dim](2 * channels, channels, 1))
        self.combine_conv_context = Members(CONV[dim](2 * channels, channels, 1))

    def forward(self, context, target):
        context, target = self.context_conv(context), self.target_conv(target)
        pairs = torch.cat([context, target[:, None].expand_as(context)], dim=2)
        new_target = F.gelu(target + self.combine_conv_target(pairs).mean(dim=1))
        new_context = F.gelu(context + self.combine_conv_context(pairs))
        return new_context, new_target


class TargetBlock(nn.Module):
    """The baseline's block: the target's residual unit alone."""

    def __init__(self, dim, channels, conv_layers):
        super().__init__()
        self.target_conv = ResidualUnit(dim, channels, conv_layers)

    def forward(self, context, target):
        return context, self.target_conv(target)


class Down(nn.Module):
    """Halves space: max pool where the width stays, a strided convolution where it changes."""

    def __init__(self, dim, width, next_width, with_context):
        super().__init__()
        self.dim = dim
        self.learned = width != next_width
        if self.learned:
            if with_context:
                self.context_linear_layer = Members(CONV[dim](width, next_width, 4, stride=2, padding=1))
            self.target_linear_layer = CONV[dim](width, next_width, 4, stride=2, padding=1)

    def forward(self, context, target):
        if self.learned:
            return context if context is None else self.context_linear_layer(context), self.target_linear_layer(target)
        if context is not None:
            context = MAX_POOL[self.dim](context.flatten(0, 1), 2).unflatten(0, context.shape[:2])
        return context, MAX_POOL[self.dim](target, 2)


class Up(nn.Module):
    """Doubles space and merges the shortcut: 1x1 convolution of cat(upsampled, shortcut)."""

    def __init__(self, dim, width, shortcut_width, with_context):
        super().__init__()
        self.mode = LINEAR_MODE[dim]
        if with_context:
            self.context_conv_layer = Members(CONV[dim](width + shortcut_width, shortcut_width, 1))
        self.target_conv_layer = CONV[dim](width + shortcut_width, shortcut_width, 1)

    def upsample(self, x):
        return F.interpolate(x, scale_factor=2, mode=self.mode, align_corners=False)

    def forward(self, context, target, shortcut):
        shortcut_context, shortcut_target = shortcut
        if context is not None:
            upsampled = self.upsample(context.flatten(0, 1)).unflatten(0, context.shape[:2])
            context = self.context_conv_layer(torch.cat([upsampled, shortcut_context], dim=2))
        return context, self.target_conv_layer(torch.cat([self.upsample(target), shortcut_target], dim=1))


class OutputBlock(nn.Module):
    """A residual unit, then a 1x1 convolution to the output channels; no activation after it."""

    def __init__(self, dim, channels, out_channels, conv_layers):
        super().__init__()
        self.block = nn.Sequential(ResidualUnit(dim, channels, conv_layers), CONV[dim](channels, out_channels, 1))

    def forward(self, target):
        return self.block(target)


class Backbone(nn.Module):
    """The U-Net both networks share; `context` is None all the way through for the baseline."""

    def __init__(self, block, dim, widths, out_channels, conv_layers, with_context):
        super().__init__()
        coarse_to_fine = widths[::-1]
        self.enc_blocks = nn.ModuleList(block(dim, width, conv_layers) for width in widths)
        self.downsample_blocks = nn.ModuleList(
            Down(dim, width, next_width, with_context) for width, next_width in pairwise(widths)
        )
        self.upsample_blocks = nn.ModuleList(
            Up(dim, width, shortcut_width, with_context) for width, shortcut_width in pairwise(coarse_to_fine)
        )
        self.dec_blocks = nn.ModuleList(block(dim, width, conv_layers) for width in coarse_to_fine[1:])
        self.output_block = OutputBlock(dim, widths[0], out_channels, conv_layers)

    def run(self, context, target):
        shortcuts = []
        for index, block in enumerate(self.enc_blocks):
            context, target = block(context, target)
            if index < len(self.downsample_blocks):
                shortcuts.append((context, target))
                context, target = self.downsample_blocks[index](context, target)
        for upsample, block in zip(self.upsample_blocks, self.dec_blocks, strict=True):
            context, target = upsample(context, target, shortcuts.pop())
            context, target = block(context, target)
        return self.output_block(target)


class NeuralizerTwin(Backbone):
    """Neuralizer: context_in [B, L, Cin, *S], context_out [B, L, Cout, *S], target_in [B, Cin, *S] -> [B, Cout, *S]."""

    def __init__(self, dim=2, stages=4, in_channels=3, out_channels=3, inner_channels=64, conv_layers=2):
        widths = widths_of(inner_channels, stages)
        super().__init__(PairwiseConvAvg, dim, widths, out_channels, conv_layers, with_context=True)
        self.target_embedding = CONV[dim](in_channels, widths[0], 1)
        self.context_embedding = Members(CONV[dim](in_channels + out_channels, widths[0], 1))

    def forward(self, context_in, context_out, target_in):
        context = self.context_embedding(torch.cat([context_in, context_out], dim=2))
        return self.run(context, self.target_embedding(target_in))


class UNetTwin(Backbone):
    """The baseline without context: target_in [B, Cin, *S] -> [B, Cout, *S]."""

    def __init__(self, dim=2, stages=4, in_channels=3, out_channels=3, inner_channels=64, conv_layers=2):
        widths = widths_of(inner_channels, stages)
        super().__init__(TargetBlock, dim, widths, out_channels, conv_layers, with_context=False)
        self.target_embedding = CONV[dim](in_channels, widths[0], 1)

    def forward(self, target_in):
        return self.run(None, self.target_embedding(target_in))
