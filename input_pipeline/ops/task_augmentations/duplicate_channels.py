"""Fills the unused channels of the input with copies of the used ones."""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from input_pipeline.ops.registry import Parameters, TaskAugmentation, nothing_own, register_task_augmentation


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """Samples preferences `[3, 3]` float32: an unused channel (row) copies the used one (column) it prefers."""
    return jax.random.uniform(key, (3, 3))


def apply(shared: Parameters, own: Parameters, images: jax.Array, output: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Fills all channels of the input `[H, W, 3]`; the output `[H, W, 1]` does not change.

    A channel is unused if it is 0 everywhere. A task uses the same channels in all images of an episode, so the copies
    are the same too.
    """
    used = (images != 0).any((0, 1))
    preference = jnp.where(used, shared, -1.0)
    source = jnp.where(used, jnp.arange(3), jnp.argmax(preference, axis=1))
    return images[..., source], output


register_task_augmentation(
    TaskAugmentation("duplicate_channels", "input", lambda task: True, {}, sample, nothing_own, apply)
)
