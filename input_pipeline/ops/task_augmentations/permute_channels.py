"""Permutes the channels of the input."""

from itertools import permutations

import jax
import numpy as np
from ml_collections import ConfigDict

from input_pipeline.ops.registry import Parameters, TaskAugmentation, nothing_own, register_task_augmentation

# All orders that move the first channel: the others change nothing if it is the only one in use.
_ORDERS = np.array([order for order in permutations(range(3)) if order[0] != 0], np.int32)


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """Samples the order `[3]` int32: channel i of the result is channel `order[i]` of the input."""
    return jax.random.choice(key, _ORDERS)


def apply(shared: Parameters, own: Parameters, images: jax.Array, output: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Permutes the channels of the input `[H, W, 3]`; the output `[H, W, 1]` does not change."""
    return images[..., shared], output


register_task_augmentation(
    TaskAugmentation("permute_channels", "input", lambda task: True, {}, sample, nothing_own, apply)
)
