"""What tasks and task augmentations are, and the tables of all: the contract of `tasks/`, `task_augmentations/`.

Both are pure functions in JAX on single images. `sample` draws what all images of an episode share, target and context
alike (how blurred, which intensity curve); `sample_image` draws what is an image's own (where the patient moved, the
noise); `apply` draws nothing, so that any result can be made again from its parameters. Images are float32 in [0, 1],
`[H, W, 3]`; what is not used is zero. Parameters are any pytree of arrays; every array's shape is the same for any key.

To add one, register it in an experiment file, before the configuration is made:

    register_task(Task("edges", needs="image", defaults={}, sample=..., sample_image=..., apply=...))
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
from ml_collections import ConfigDict

Parameters = Any

# What the images and the mask of a task hold:
NEEDS = {
    "image": "channel 0: an image; no mask",
    "two images": "channels 0 and 1: two modalities of the subject; no mask",
    "three images": "channels 0, 1 and 2: three modalities of the subject; no mask",
    "class": "channel 0: an image; mask: a class of a protocol, or a union of classes",
    "brain mask": "channel 0: an image of a full head; mask: its brain",
}

# How many modalities of a subject that is.
CHANNELS = {"image": 1, "two images": 2, "three images": 3, "class": 1, "brain mask": 1}


@dataclass(frozen=True)
class Task:
    """A task that an episode can show.

    Attributes:
        name: its key in the configuration.
        needs: what it is made of, one of `NEEDS`.
        defaults: its part of the configuration, with units in the names or comments.
        sample: `(key, config) -> shared`, what all images of an episode share.
        sample_image: `(key, shared, config) -> own`, what one image has of its own.
        apply: `(shared, own, images [H, W, 3], mask [H, W]) -> (input [H, W, 3], output [H, W, 1])`; the mask is
            float32, 0 or 1.
    """

    name: str
    needs: str
    defaults: Mapping[str, Any]
    sample: Callable[[jax.Array, ConfigDict], Parameters]
    sample_image: Callable[[jax.Array, Parameters, ConfigDict], Parameters]
    apply: Callable[[Parameters, Parameters, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]

    @property
    def is_segmentation(self) -> bool:
        """Whether the output is a mask, and the loss soft Dice."""
        return self.needs in ("class", "brain mask")


@dataclass(frozen=True)
class TaskAugmentation:
    """A random change of the task itself.

    Attributes:
        name: its key in the configuration.
        touches: `images`: what the task is made of, before it; `input`, `output` or `both`: what the task gave.
        fits: whether it makes sense for a task.
        defaults: its part of the configuration; `probability` is 0.1 where it is not among them.
        sample: `(key, config) -> shared`.
        sample_image: `(key, shared, config) -> own`.
        apply: where it touches `images`, `(shared, own, images [H, W, 3], labels [H, W] int32) -> images`, the labels
            being indices into `contrast_table.CLASSES`; else `(shared, own, input [H, W, 3], output [H, W, 1]) ->
            (input, output)`.
    """

    name: str
    touches: str
    fits: Callable[[Task], bool]
    defaults: Mapping[str, Any]
    sample: Callable[[jax.Array, ConfigDict], Parameters]
    sample_image: Callable[[jax.Array, Parameters, ConfigDict], Parameters]
    apply: Callable[..., Any]


def nothing_shared(key: jax.Array, config: ConfigDict) -> Parameters:
    """`sample` of an operation whose images share nothing."""
    return ()


def nothing_own(key: jax.Array, shared: Parameters, config: ConfigDict) -> Parameters:
    """`sample_image` of an operation that is the same for all images."""
    return ()


def register_task(task: Task) -> Task:
    """Adds a task to `TASKS`. Raises ValueError where the name is taken or `needs` unknown."""
    if task.needs not in NEEDS:
        raise ValueError(f"task {task.name}: needs is {task.needs!r}, expected one of {', '.join(NEEDS)}")
    return _register(TASKS, task)


def register_task_augmentation(augmentation: TaskAugmentation) -> TaskAugmentation:
    """Adds a task augmentation to `TASK_AUGMENTATIONS`. Raises ValueError where the name is taken."""
    if augmentation.touches not in ("images", "input", "output", "both"):
        raise ValueError(
            f"task augmentation {augmentation.name}: touches is {augmentation.touches!r}, expected images, input,"
            " output or both"
        )
    return _register(TASK_AUGMENTATIONS, augmentation)


def _register(table: dict, operation: Any) -> Any:
    if operation.name in table:
        raise ValueError(f"{operation.name}: registered already, expected another name")
    table[operation.name] = operation
    return operation


# In the order in which they were registered: a task's number is its place.
TASKS: dict[str, Task] = {}
TASK_AUGMENTATIONS: dict[str, TaskAugmentation] = {}
