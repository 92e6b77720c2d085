"""The images of the input stand in other channels."""

from itertools import permutations

import jax
import numpy as np
from ml_collections import ConfigDict

from input_pipeline.ops.registry import Parameters, TaskAugmentation, nothing_own, register_task_augmentation

# Those that leave the first channel where it is change nothing where it is the only one in use.
_ORDERS = np.array([order for order in permutations(range(3)) if order[0] != 0], np.int32)


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """Which channel comes to stand in each place, `[3]` int32: one of the four orders that move the first one."""
    return jax.random.choice(key, _ORDERS)


def apply(shared: Parameters, own: Parameters, images: jax.Array, output: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The input `[H, W, 3]` in the new order, and the output `[H, W, 1]` as it is."""
    return images[..., shared], output


register_task_augmentation(
    TaskAugmentation(
        name="permute_channels",
        touches="input",
        fits=lambda task: True,
        defaults={},
        sample=sample,
        sample_image=nothing_own,
        apply=apply,
    )
)
