"""Channels of the input that are not in use show copies of those that are."""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from input_pipeline.ops.registry import Parameters, TaskAugmentation, nothing_own, register_task_augmentation


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """How gladly each place (row) takes each channel (column), `[3, 3]` float32 in [0, 1)."""
    return jax.random.uniform(key, (3, 3))


def apply(shared: Parameters, own: Parameters, images: jax.Array, output: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The input `[H, W, 3]` with all channels filled, and the output `[H, W, 1]` as it is.

    A channel is in use where it is not zero everywhere: this is what `operations` promises of the channels of a task,
    so it is the same for all images of an episode, and so are the copies.
    """
    used = (images != 0).any((0, 1))
    liking = jnp.where(used, shared, -1.0)
    source = jnp.where(used, jnp.arange(3), jnp.argmax(liking, axis=1))
    return images[..., source], output


register_task_augmentation(
    TaskAugmentation(
        name="duplicate_channels",
        touches="input",
        fits=lambda task: True,
        defaults={},
        sample=sample,
        sample_image=nothing_own,
        apply=apply,
    )
)
