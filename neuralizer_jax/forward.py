"""The network applied to a batch of episodes: what training, validation and evaluation share."""

from typing import Any

import flax.linen as nn
import jax

from neuralizer_jax.unet import UNet


def forward(model: nn.Module, params: dict[str, Any], episode: dict[str, jax.Array]) -> jax.Array:
    """The network's output for a batch, `[B, H, W, out_channels]`. The U-Net has no use for a context."""
    if isinstance(model, UNet):
        return model.apply({"params": params}, episode["target_in"])
    names = ("target_in", "context_in", "context_out", "context_mask")
    return model.apply({"params": params}, *(episode[name] for name in names))
