"""Makes episodes of slices: spatial transform, task, task augmentations. The third of three steps: plan, gather, apply.

Pure JAX. One function makes every image (`image_function`), from its slices, the key of its episode and its number in
the episode. A host makes images one after another (`make_images`), an accelerator all images of an episode at once
(`make_episodes`).
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from input_pipeline.ops.registry import CHANNELS, TASK_AUGMENTATIONS, TASKS, Parameters, Task, TaskAugmentation
from input_pipeline.ops.spatial import sample_transform, sampling_grid, warp_image, warp_labels, warp_mask
from input_pipeline.space.grid import SLICE_SHAPE

# Streams of random numbers of an episode's key; those of the task augmentations follow.
_SPATIAL, _TASK, _AUGMENTATIONS = 0, 1, 2


class ImageKeys(NamedTuple):
    """Random keys of an image, one a stream `[S]`: those that its episode shares, and its own."""

    shared: jax.Array
    own: jax.Array


def image_function(config: ConfigDict, tasks: Iterable[str], read: Callable) -> Callable:
    """Returns the function that makes one image of an episode.

    Its arguments are `task` (index into `TASKS`), `on` `[A]` bool (which of `TASK_AUGMENTATIONS`), `ImageKeys`, the
    arrays that all images are read from, and the image's own. It returns input `[size, size, 3]` and output
    `[size, size, 1]`, float32 in [0, 1].

    Args:
        config: `config.default_config`, changed.
        tasks: names of the tasks to compile; of the augmentations, those with a probability are.
        read: `slice_reader` or `read_volumes.volume_reader`.
    """
    tasks = tuple(tasks)
    branch_of = np.array([tasks.index(name) if name in tasks else 0 for name in TASKS])
    augmentations = [
        (place, augmentation)
        for place, (name, augmentation) in enumerate(TASK_AUGMENTATIONS.items())
        if config.task_augmentations[name].probability > 0
    ]
    from_labels = np.array([augmentation.touches == "images" for augmentation in TASK_AUGMENTATIONS.values()], bool)

    def make(task, on, keys, stored, own):
        labels_needed = (on & from_labels).any()
        images, mask, labels = read(task, labels_needed, keys.shared[_SPATIAL], keys.own[_SPATIAL], stored, own)
        for place, augmentation in augmentations:
            if augmentation.touches == "images":
                settings = config.task_augmentations[augmentation.name]
                change = _performed(augmentation, settings, keys, _AUGMENTATIONS + place, labels)
                images = jax.lax.cond(on[place], change, lambda images: images, images)
        branches = [_performed(TASKS[name], config.tasks[name], keys, _TASK) for name in tasks]
        pair = jax.lax.switch(jnp.asarray(branch_of)[task], branches, images, mask)
        for place, augmentation in augmentations:
            if augmentation.touches != "images":
                settings = config.task_augmentations[augmentation.name]
                change = _performed(augmentation, settings, keys, _AUGMENTATIONS + place)
                pair = jax.lax.cond(on[place], change, lambda *pair: pair, *pair)
        return pair

    return make


def slice_reader(config: ConfigDict) -> Callable:
    """Returns the function that reads the slices of one image and moves them by the spatial transforms.

    Its arguments are `task`, whether labels are needed, the spatial streams of `ImageKeys`, nothing, and the image's
    part of what `gather` returns: `images` `[C, H, W]` uint16, `masks` and `labels` `[H, W]` uint8, and whether to
    `flip` them first. It returns images `[size, size, 3]` and mask `[size, size]`, float32 in [0, 1], and labels
    `[size, size]` int32.
    """
    channels = np.array([CHANNELS[task.needs] for task in TASKS.values()])
    segments = np.array([task.is_segmentation for task in TASKS.values()])

    def read(task, labels_needed, shared_key, own_key, stored, slices):
        images, mask = slices["images"], slices["masks"]
        shared = sample_transform(shared_key, config.spatial.shared)
        own = sample_transform(own_key, config.spatial.own)
        places = sampling_grid(shared, own, config.size, mask.shape[0], SLICE_SHAPE[0], config.extent)
        places = places.at[1].set(jnp.where(slices["flip"], mask.shape[1] - 1 - places[1], places[1]))
        # Interpolation takes most of the time, so only what the task uses is read.
        readers = [_reader(count) for count in range(1, images.shape[0] + 1)]
        images = jax.lax.switch(jnp.asarray(channels)[task] - 1, readers, images, places)
        mask = _read_if(jnp.asarray(segments)[task], warp_mask, mask, places)
        return images, mask, _read_if(labels_needed, warp_labels, slices["labels"].astype(jnp.int32), places)

    return read


def _reader(count: int) -> Callable:
    """Reads the first `count` channels of `[C, H, W]` uint16 at a sampling grid, as `[H, W, 3]` float32 in [0, 1]."""

    def read(images, places):
        read = [warp_image(image, places) / 65535 for image in images[:count]]
        return jnp.stack([*read, *[jnp.zeros_like(places[0])] * (3 - count)], axis=-1)

    return read


def _read_if(needed: jax.Array, read: Callable, values: jax.Array, places: jax.Array) -> jax.Array:
    """`read(values, places)`, or zeros if not needed."""
    kind = jax.eval_shape(read, values, places)
    return jax.lax.cond(needed, read, lambda values, places: jnp.zeros(kind.shape, kind.dtype), values, places)


def make_images(make: Callable, size: int) -> Callable:
    """Returns the function that makes the first `count` of K images on a CPU, one after another; the others are 0.

    Its arguments are `count`, `tasks` `[K]`, `on` `[K, A]`, keys of the episodes `[K]`, numbers of the images in their
    episodes `[K]`, the arrays that all images are read from, and a dictionary of the images' own, `[K, ...]`.
    """

    def one_by_one(count, tasks, on, keys, numbers, stored, images):
        keys = jax.vmap(image_keys)(keys, numbers)

        def image(k, made):
            of_image, own = jax.tree.map(lambda array: array[k], (keys, images))
            pair = make(tasks[k], on[k], of_image, stored, own)
            return [array.at[k].set(value) for array, value in zip(made, pair, strict=True)]

        empty = [jnp.zeros((len(tasks), size, size, channels)) for channels in (3, 1)]
        return jax.lax.fori_loop(0, count, image, empty)

    # One thread a call: calls run side by side, and an image is too small for several threads.
    return jax.jit(one_by_one, compiler_options={"xla_cpu_multi_thread_eigen": False})


def make_episodes(make: Callable) -> Callable:
    """Returns the function that makes B episodes of 1 + N images, one after another. An episode computes its task only.

    Its arguments are `task` `[B]`, `on` `[B, A]`, `keys` `[B]`, the arrays that all images are read from, and a
    dictionary of the images' own, `[B, 1 + N, ...]`.
    """

    def episodes(tasks, on, keys, stored, images):
        numbers = jnp.arange(jax.tree.leaves(images)[0].shape[1])

        def episode(row):
            own = jax.vmap(image_keys, (None, 0))(keys[row], numbers)
            all_images = jax.vmap(make, (None, None, 0, None, 0))
            return all_images(tasks[row], on[row], own, stored, jax.tree.map(lambda array: array[row], images))

        return jax.lax.map(episode, jnp.arange(len(tasks)))

    return jax.jit(episodes)


def episode_keys(seed: int, step: jax.typing.ArrayLike, rows: jax.typing.ArrayLike) -> jax.Array:
    """The random key of each episode of a batch `[B]`: a function of the seed, the step and its row."""
    key = jax.random.fold_in(jax.random.key(seed), step)
    return jax.vmap(lambda row: jax.random.fold_in(key, row))(rows)


def image_keys(key: jax.Array, number: jax.typing.ArrayLike) -> ImageKeys:
    """The keys of image `number` of the episode with this key."""
    # All streams in one call: on a CPU the calls cost time, not the numbers.
    shared, own = jax.random.split(key)
    streams = jnp.arange(_AUGMENTATIONS + len(TASK_AUGMENTATIONS))
    fold = jax.vmap(jax.random.fold_in, (None, 0))
    return ImageKeys(fold(shared, streams), fold(jax.random.fold_in(own, number), streams))


def shared_task_parameters(config: ConfigDict, name: str, key: jax.Array) -> Parameters:
    """The parameters of a task that the images of an episode share, from the key of the episode."""
    return TASKS[name].sample(image_keys(key, 0).shared[_TASK], config.tasks[name])


def shared_augmentation_parameters(config: ConfigDict, name: str, key: jax.Array) -> Parameters:
    """The parameters of a task augmentation that the images of an episode share, from the key of the episode."""
    stream = _AUGMENTATIONS + list(TASK_AUGMENTATIONS).index(name)
    return TASK_AUGMENTATIONS[name].sample(image_keys(key, 0).shared[stream], config.task_augmentations[name])


def _performed(
    operation: Task | TaskAugmentation, settings: ConfigDict, keys: ImageKeys, stream: int, *last: jax.Array
) -> Callable:
    """The operation as a function of images, with parameters from a stream of the keys; `last` follows the images."""
    shared_key, own_key = keys.shared[stream], keys.own[stream]

    def perform(*images):
        shared = operation.sample(shared_key, settings)
        return operation.apply(shared, operation.sample_image(own_key, shared, settings), *images, *last)

    return perform
