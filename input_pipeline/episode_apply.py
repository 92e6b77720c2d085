"""Gathered slices to episodes: spatial transform, task, task augmentations. The third of three steps, pure JAX.

Every image is made by one function of its slices, of its episode's key and of its own number: `image_function`. A host
makes images one after another (`make_images`); an accelerator makes all images of an episode at once (`make_episodes`).
"""

from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from input_pipeline.operations import CHANNELS, TASK_AUGMENTATIONS, TASKS, Parameters, Task, TaskAugmentation
from input_pipeline.spatial_transform import displacement_field, sample_transform, warp_images, warp_labels, warp_masks

# Streams of an episode's key; those of the task augmentations follow.
_SPATIAL, _TASK, _AUGMENTATIONS = 0, 1, 2


def image_function(config: ConfigDict, tasks: Iterable[str]) -> Callable:
    """The function that makes one image of an episode.

    It takes `task` (its place in `TASKS`), `on` `[A]` bool (which of `TASK_AUGMENTATIONS`), the episode's `key`, the
    image's `number` in the episode, `images` `[C, H, W]` uint16, `mask` and `labels` `[H, W]` uint8. It returns input
    `[H, W, 3]` and output `[H, W, 1]`, float32 in [0, 1]. Only `tasks`, and augmentations with a probability, are
    compiled.
    """
    tasks = tuple(tasks)
    branch_of = np.array([tasks.index(name) if name in tasks else 0 for name in TASKS])
    augmentations = [
        (place, augmentation)
        for place, (name, augmentation) in enumerate(TASK_AUGMENTATIONS.items())
        if config.task_augmentations[name].probability > 0
    ]

    channels = np.array([CHANNELS[task.needs] for task in TASKS.values()])
    segments = np.array([task.is_segmentation for task in TASKS.values()])
    from_labels = np.array([augmentation.touches == "images" for augmentation in TASK_AUGMENTATIONS.values()], bool)

    def make(task, on, key, number, images, mask, labels):
        shared_key, own_key = _keys(key, _SPATIAL, number)
        shared = sample_transform(shared_key, config.spatial.shared)
        own = sample_transform(own_key, config.spatial.own)
        places = displacement_field(shared, own, mask.shape)
        # What the task has no use for is not read: that is most of the time this takes.
        readers = [_reader(count) for count in range(1, images.shape[0] + 1)]
        images = jax.lax.switch(jnp.asarray(channels)[task] - 1, readers, images, places)
        mask = _read_if(jnp.asarray(segments)[task], warp_masks, mask[..., None].astype(jnp.float32), places)[..., 0]
        labels = _read_if((on & from_labels).any(), warp_labels, labels.astype(jnp.int32), places)

        for place, augmentation in augmentations:
            if augmentation.touches == "images":
                settings = config.task_augmentations[augmentation.name]
                keys = _keys(key, _AUGMENTATIONS + place, number)
                images = jax.lax.cond(
                    on[place], _changed(augmentation, settings, keys, labels), lambda images: images, images
                )
        keys = _keys(key, _TASK, number)
        branches = [_performed(TASKS[name], config.tasks[name], keys) for name in tasks]
        pair = jax.lax.switch(jnp.asarray(branch_of)[task], branches, images, mask)
        for place, augmentation in augmentations:
            if augmentation.touches != "images":
                settings = config.task_augmentations[augmentation.name]
                keys = _keys(key, _AUGMENTATIONS + place, number)
                pair = jax.lax.cond(on[place], _augmented(augmentation, settings, keys), lambda *pair: pair, *pair)
        return pair

    return make


def _reader(count: int) -> Callable:
    """Reads the first of the channels `[C, H, W]` uint16 at the places, as `[H, W, 3]` float32 in [0, 1]."""

    def read(images, places):
        read = jnp.zeros((*images.shape[1:], 3), jnp.float32)
        for channel in range(count):
            image = warp_images(images[channel, ..., None].astype(jnp.float32) / 65535, places)
            read = jnp.where(jnp.arange(3) == channel, image, read)
        return read

    return read


def _read_if(needed: jax.Array, read: Callable, values: jax.Array, places: jax.Array) -> jax.Array:
    return jax.lax.cond(needed, read, lambda values, places: jnp.zeros_like(values), values, places)


def make_images(make: Callable) -> Callable:
    """The function that makes K images one after another: `images` are `[C, K, H, W]`, all others have K in front."""

    def one_by_one(tasks, on, keys, numbers, images, masks, labels):
        def image(k):
            return make(tasks[k], on[k], keys[k], numbers[k], images[:, k], masks[k], labels[k])

        return jax.lax.map(image, jnp.arange(masks.shape[0]))

    return jax.jit(one_by_one)


def make_episodes(make: Callable) -> Callable:
    """The function that makes B episodes of 1 + N images.

    It takes `task` `[B]`, `on` `[B, A]`, `keys` `[B]`, `images` `[C, B, 1 + N, H, W]`, `masks` and `labels`
    `[B, 1 + N, H, W]`. Of the tasks only the one that an episode has is computed.
    """

    def episodes(tasks, on, keys, images, masks, labels):
        numbers = jnp.arange(masks.shape[1])

        def episode(row):
            all_images = jax.vmap(make, (None, None, None, 0, 1, 0, 0))
            return all_images(tasks[row], on[row], keys[row], numbers, images[:, row], masks[row], labels[row])

        return jax.lax.map(episode, jnp.arange(masks.shape[0]))

    return jax.jit(episodes)


def episode_keys(seed: int, step: jax.Array, rows: jax.Array) -> jax.Array:
    """The key of each episode of a batch `[B]`, from nothing but the seed, the step and its row."""
    key = jax.random.fold_in(jax.random.key(seed), step)
    return jax.vmap(lambda row: jax.random.fold_in(key, row))(rows)


def drawn_task(config: ConfigDict, name: str, key: jax.Array) -> Parameters:
    """What the images of an episode with this key share of a task."""
    return TASKS[name].sample(_keys(key, _TASK, 0)[0], config.tasks[name])


def drawn_augmentation(config: ConfigDict, name: str, key: jax.Array) -> Parameters:
    """What the images of an episode with this key share of a task augmentation."""
    stream = _AUGMENTATIONS + list(TASK_AUGMENTATIONS).index(name)
    return TASK_AUGMENTATIONS[name].sample(_keys(key, stream, 0)[0], config.task_augmentations[name])


def _keys(key: jax.Array, stream: int, number: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Keys of what the images of an episode share, and of what image `number` has of its own."""
    shared, own = jax.random.split(jax.random.fold_in(key, stream))
    return shared, jax.random.fold_in(own, number)


def _drawn(operation: Task | TaskAugmentation, settings: ConfigDict, keys: tuple[jax.Array, jax.Array]) -> tuple:
    shared = operation.sample(keys[0], settings)
    return shared, operation.sample_image(keys[1], shared, settings)


def _performed(task: Task, settings: ConfigDict, keys: tuple[jax.Array, jax.Array]) -> Callable:
    return lambda images, mask: task.apply(*_drawn(task, settings, keys), images, mask)


def _changed(augmentation: TaskAugmentation, settings: ConfigDict, keys: tuple, labels: jax.Array) -> Callable:
    return lambda images: augmentation.apply(*_drawn(augmentation, settings, keys), images, labels)


def _augmented(augmentation: TaskAugmentation, settings: ConfigDict, keys: tuple[jax.Array, jax.Array]) -> Callable:
    return lambda *pair: augmentation.apply(*_drawn(augmentation, settings, keys), *pair)
