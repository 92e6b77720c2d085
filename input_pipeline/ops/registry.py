"""The contract of tasks and task augmentations, and the tables `TASKS` and `TASK_AUGMENTATIONS` of all that there are.

Each is three pure JAX functions:

- `sample` samples the parameters that all images of an episode share (how strong the blur is, which intensity curve);
- `sample_image` samples the parameters of one image (how the patient moved, the noise);
- `apply` changes one image. It is deterministic, so parameters reproduce the result.

Images are float32 `[H, W, 3]` in [0, 1]; unused channels are 0. Parameters are a pytree of arrays whose shapes do not
depend on the key. `config` is the operation's part of the configuration: its `defaults`, changed.

To add a task, register it before `default_config()` is called, for instance in an experiment file::

    def sample(key, config):
        return {"level": jax.random.uniform(key, (), jnp.float32, *config.level)}

    def apply(shared, own, images, mask):
        image = images[..., :1]
        return input_channels((image * (image > shared["level"]))[..., 0]), image

    register_task(Task("threshold", needs="image", defaults={"level": (0.1, 0.5)},
                       sample=sample, sample_image=nothing_own, apply=apply))
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
from ml_collections import ConfigDict

Parameters = Any

# What `Task.needs` can be: the data that the task gets as `images` and `mask`.
NEEDS = {
    "image": "an image in channel 0; no mask",
    "two images": "two modalities of a subject in channels 0 and 1; no mask",
    "three images": "three modalities of a subject in channels 0, 1 and 2; no mask",
    "class": "an image in channel 0; the mask of a class of a protocol, or of a union of classes",
    "brain mask": "an image of a full head in channel 0; the mask of the brain",
}

# Channels of `images` in use.
CHANNELS = {"image": 1, "two images": 2, "three images": 3, "class": 1, "brain mask": 1}


@dataclass(frozen=True)
class Task:
    """A task that an episode can show.

    Attributes:
        name: key in the configuration.
        needs: one of `NEEDS`.
        defaults: the task's part of the configuration; state units in the names or in comments.
        sample: `(key, config) -> shared`, parameters that all images of an episode share.
        sample_image: `(key, shared, config) -> own`, parameters of one image.
        apply: `(shared, own, images [H, W, 3], mask [H, W]) -> (input [H, W, 3], output [H, W, 1])`. The mask is
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
        """Whether the output is a mask (soft Dice loss) and not an image (mean squared error)."""
        return self.needs in ("class", "brain mask")


@dataclass(frozen=True)
class TaskAugmentation:
    """A random change of the task itself, for target and context alike.

    Attributes:
        name: key in the configuration.
        touches: `images` changes the images before the task; `input`, `output` and `both` change the task's result.
        fits: whether it makes sense for a task.
        defaults: the augmentation's part of the configuration; without a `probability`, that is 0.1.
        sample: `(key, config) -> shared`, parameters that all images of an episode share.
        sample_image: `(key, shared, config) -> own`, parameters of one image.
        apply: `(shared, own, input [H, W, 3], output [H, W, 1]) -> (input, output)`. If it touches `images`:
            `(shared, own, images [H, W, 3], labels [H, W] int32) -> images`; labels index `tissue_classes.CLASSES`.
    """

    name: str
    touches: str
    fits: Callable[[Task], bool]
    defaults: Mapping[str, Any]
    sample: Callable[[jax.Array, ConfigDict], Parameters]
    sample_image: Callable[[jax.Array, Parameters, ConfigDict], Parameters]
    apply: Callable[..., Any]


def nothing_shared(key: jax.Array, config: ConfigDict) -> Parameters:
    """A `sample` without shared parameters."""
    return ()


def nothing_own(key: jax.Array, shared: Parameters, config: ConfigDict) -> Parameters:
    """A `sample_image` without parameters of one image: all images are changed alike."""
    return ()


def register_task(task: Task) -> Task:
    """Adds a task to `TASKS`. Raises ValueError if the name is taken or `needs` is unknown."""
    if task.needs not in NEEDS:
        raise ValueError(f"task {task.name}: needs is {task.needs!r}, expected one of {', '.join(NEEDS)}")
    return _register(TASKS, task)


def register_task_augmentation(augmentation: TaskAugmentation) -> TaskAugmentation:
    """Adds an augmentation to `TASK_AUGMENTATIONS`. Raises ValueError if the name is taken or `touches` unknown."""
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


# In the order of registration. An episode's `task` is an index into `TASKS`.
TASKS: dict[str, Task] = {}
TASK_AUGMENTATIONS: dict[str, TaskAugmentation] = {}
