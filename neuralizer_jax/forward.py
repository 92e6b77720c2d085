"""The network applied to a batch of episodes, for training, validation and evaluation."""

from typing import Any

import flax.linen as nn
import jax

from neuralizer_jax.unet import UNet


def forward(model: nn.Module, params: dict[str, Any], episode: dict[str, jax.Array]) -> jax.Array:
    """Output of the network for a batch, `[B, H, W, out_channels]`. The U-Net ignores the context.

    Example:
        >>> import jax.numpy as jnp
        >>> from neuralizer_jax.weights import init_params
        >>> model = UNet(features=8, stages=2)
        >>> params = init_params(model, jax.random.key(0))
        >>> forward(model, params, {"target_in": jnp.ones((2, 16, 16, 1))}).shape
        (2, 16, 16, 1)
    """
    names = ["target_in"] if isinstance(model, UNet) else ["target_in", "context_in", "context_out", "context_mask"]
    output = model.apply({"params": params}, *(episode[name] for name in names))
    assert isinstance(output, jax.Array)  # Flax types the result of any model and of any of its methods
    return output
