"""A fixed list of validation episodes: every task at context sizes 1, 8 and 32, without augmentation."""

from collections.abc import Iterator, Sequence

import numpy as np
from ml_collections import ConfigDict

from input_pipeline.episodes.batches import Arrays, EpisodeStream
from input_pipeline.episodes.plan import join

SIZES = (1, 8, 32)

# Validation uses the random numbers of the last steps, which no training reaches.
_LAST_STEP = 2**32 - 1


def validation_config(config: ConfigDict) -> ConfigDict:
    """The configuration of validation: split `val`, all subjects, one size, made on the host, nothing augmented.

    Slices of volumes are cut as in training: without deformation, few subjects would be the context again and again.
    """
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.split = "val"
        config.crops = ()
        config.subjects.number = 0
        config.apply = "host"
        for augmentation in config.task_augmentations.values():
            augmentation.probability = 0.0
        for part in config.spatial.values():
            part.affine_probability = part.elastic_probability = 0.0
        config.flip.shared_probability = config.flip.own_probability = 0.0
    return config


def validation_batches(stream: EpisodeStream, episodes: int, sizes: Sequence[int] = SIZES) -> Iterator[Arrays]:
    """Yields batches of one context size each. Every task has the same number of episodes, whatever its weight.

    The episodes of a task show each plane in turn.

    Args:
        stream: of a `validation_config`.
        episodes: number of episodes of each task and context size.
        sizes: context sizes.
    """
    number, planes = 0, stream.planner.planes.names
    for size in sizes:
        plans = []
        for place, name in enumerate(stream.planner.sources):
            for episode in range(episodes):
                philox = np.random.Philox(key=stream.config.seed, counter=[size, place, episode, _LAST_STEP])
                rng = np.random.Generator(philox)
                plans.append(stream.planner.episode(rng, name, size, planes[episode % len(planes)]))
        for start in range(0, len(plans), stream.config.batch_size):
            plan = join(plans[start : start + stream.config.batch_size])
            yield stream.apply_on_host(stream.gather(plan, _LAST_STEP - number))
            number += 1
