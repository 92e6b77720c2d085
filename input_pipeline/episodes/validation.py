"""A fixed list of validation episodes: every task, context sizes 1, 8 and 32, no augmentation, always the same."""

from collections.abc import Iterator, Sequence

import numpy as np
from ml_collections import ConfigDict

from input_pipeline.episodes.batches import Arrays, EpisodeStream
from input_pipeline.episodes.plan import join

SIZES = (1, 8, 32)

# Validation's random numbers are those of the last steps that there are; training never comes to them.
_LAST_STEP = 2**32 - 1


def validation_config(config: ConfigDict) -> ConfigDict:
    """The configuration of validation: split `val`, made on the host, images as they are, tasks as they are."""
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.split = "val"
        config.subjects.number = 0
        config.apply = "host"
        for augmentation in config.task_augmentations.values():
            augmentation.probability = 0.0
        for part in config.spatial.values():
            part.affine_probability = part.elastic_probability = 0.0
        config.flip.shared_probability = config.flip.own_probability = 0.0
    return config


def validation_batches(stream: EpisodeStream, episodes: int, sizes: Sequence[int] = SIZES) -> Iterator[Arrays]:
    """Batches of one context size each, in which every task has the same number of episodes.

    Args:
        stream: of a `validation_config`; tasks with another weight than 0 count alike.
        episodes: of a task and size.
        sizes: of the context.
    """
    number = 0
    for size in sizes:
        plans = []
        for place, name in enumerate(stream.planner.sources):
            for episode in range(episodes):
                philox = np.random.Philox(key=stream.config.seed, counter=[size, place, episode, _LAST_STEP])
                plans.append(stream.planner.episode(np.random.Generator(philox), name, size))
        for start in range(0, len(plans), stream.config.batch_size):
            yield stream.made_plan(join(plans[start : start + stream.config.batch_size]), _LAST_STEP - number)
            number += 1
