"""The three channels of a task's input."""

import jax
import jax.numpy as jnp


def input_channels(*images: jax.Array) -> jax.Array:
    """Input `[H, W, 3]` of one to three images `[H, W]`: they come first, the other channels are zero."""
    channels = jnp.zeros((*images[0].shape, 3), jnp.float32)
    for number, image in enumerate(images):
        # Stacked, the images would be computed once a channel, three times slower.
        channels = jnp.where(jnp.arange(3) == number, image[..., None], channels)
    return channels
