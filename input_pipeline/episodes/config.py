"""The configuration of the episode stream: every key with its unit and default."""

from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

from input_pipeline.cut.config import DEFAULTS as VOLUMES
from input_pipeline.cut.config import check_volumes
from input_pipeline.episodes.sources import KINDS
from input_pipeline.ops.spatial import DEFAULTS as SPATIAL
from input_pipeline.ops.task_augmentations import TASK_AUGMENTATIONS
from input_pipeline.ops.tasks import TASKS
from input_pipeline.slices.record import SPLITS
from input_pipeline.space.grid import SLICE_SHAPE
from neuralizer_jax.errors import InputError

APPLY = ("host", "device")


def default_config() -> ConfigDict:
    """The configuration with all registered tasks and task augmentations."""
    config = ConfigDict(
        {
            "datasets": (),  # folders, OUT/DATASET of `neuralizer prepare`: slices, or volumes to cut slices from
            # Subjects to show: train, val or test, or several, as train+val. Validation during training always shows
            # val; with train+val it cannot detect overfitting.
            "split": "train",
            "seed": 0,
            "batch_size": 8,  # episodes
            "size": 192,  # pixels of an image along both axes
            # Field of view along both axes, mm around the middle of the slice; of volumes around a place near the class
            # or in the brain. If it differs from the size, pixels are not 1 mm wide, and lengths that tasks give in mm
            # are in pixels.
            "extent": 192,
            # Size, extent, episodes of a batch and weight of several kinds of training images, instead of `size`,
            # `extent` and `batch_size`: ((96, 96, 4, 3.0), (192, 192, 1, 1.0)). Each step draws one by its weight.
            "crops": (),
            "apply": "host",  # where tasks and augmentations are applied: host, or device (the accelerator)
            "subjects": {
                "number": 0,  # most subjects to show, chosen at random; 0: all
                "draw": 0,  # each number chooses other subjects
            },
            "context": {
                "min": 1,  # members, uniform from min to max for each batch; 0: for networks without a context
                "max": 32,
                "pad_to": 4,  # padded with masked members to a multiple, 4, 8, 12, 16, 24 or 32: few compiled programs
                "other_source_probability": 0.25,  # a member shows another modality or dataset than the target
            },
            "classes": {
                "min_pixels": 30,  # least pixels of a class in a slice
                "union_probability": 0.2,  # a union of up to 4 classes is segmented
            },
            "flip": {
                "shared_probability": 0.5,  # all images of an episode are flipped left to right
                "own_probability": 0.0,  # one image is flipped against the others
            },
            "spatial": SPATIAL,  # of slices
            "volumes": VOLUMES,  # how slices are cut from volumes, instead of `spatial`
            "tasks": {name: {"weight": 1.0, **task.defaults} for name, task in TASKS.items()},
            "task_augmentations": {
                name: {"probability": 0.1, **augmentation.defaults} for name, augmentation in TASK_AUGMENTATIONS.items()
            },
            "hold_out": dict.fromkeys(KINDS, ()),  # names that no episode shows, classes as freesurfer:17
            "only": dict.fromkeys(KINDS, ()),  # if not empty, the only names that episodes show
        }
    )
    return config.lock()


def check_config(config: ConfigDict) -> None:
    """Checks the values that can be checked without data.

    Raises:
        InputError: names the key, its value and what was expected.
    """
    if not config.datasets:
        raise InputError("datasets: none given, expected folders that `neuralizer prepare` wrote")
    is_known = set(config.split.split("+")) <= set(SPLITS)
    _check("split", config.split, is_known, "train, val or test, or several joined by +")
    _check("apply", config.apply, config.apply in APPLY, " or ".join(APPLY))
    _check("batch_size", config.batch_size, config.batch_size >= 1, "at least 1")
    _check("seed", config.seed, 0 <= config.seed < 2**32, "0 to 2**32 - 1")
    _check("size", config.size, 16 <= config.size <= SLICE_SHAPE[0], f"16 to {SLICE_SHAPE[0]}")
    _check("extent", config.extent, 16 <= config.extent <= SLICE_SHAPE[0], f"16 to {SLICE_SHAPE[0]}")
    for crop in config.crops:
        _check("crops", crop, _is_crop(crop), "size, extent, episodes and weight")
    sizes = [crop[0] for crop in config.crops]
    _check("crops", config.crops, len(set(sizes)) == len(sizes), "different sizes")
    _check("subjects.number", config.subjects.number, config.subjects.number >= 0, "0 or more")
    _check("context.min", config.context.min, config.context.min >= 0, "0 or more")
    _check("context.pad_to", config.context.pad_to, config.context.pad_to >= 1, "at least 1")
    _check("context.max", config.context.max, config.context.min <= config.context.max, "at least context.min")
    _check("classes.min_pixels", config.classes.min_pixels, config.classes.min_pixels >= 1, "at least 1")
    for kind, table in (("tasks", TASKS), ("task_augmentations", TASK_AUGMENTATIONS)):
        for name in config[kind]:
            _check(kind, name, name in table, f"some of {', '.join(table)}")
        for name in table:
            _check(kind, f"no {name}", name in config[kind], "the configuration to be made after it was registered")
    for name, task in config.tasks.items():
        _check(f"tasks.{name}.weight", task.weight, task.weight >= 0, "0 or more")
    defaults = dict(_leaves(default_config()))
    for path, value in _leaves(config):
        _check(path, value, path in defaults, "a key of the default configuration")
        if path.endswith("probability"):
            _check(path, value, 0 <= value <= 1, "a probability from 0 to 1")
        elif defaults[path] and isinstance(defaults[path], tuple):
            length = len(defaults[path])
            _check(path, value, isinstance(value, tuple) and len(value) == length, f"{length} numbers")
            if length == 2:
                _check(path, value, value[0] <= value[1], "a range from low to high")
    check_volumes(config.volumes)


def _is_crop(crop: Any) -> bool:
    if not isinstance(crop, tuple) or len(crop) != 4 or not all(isinstance(value, int) for value in crop[:3]):
        return False
    size, extent, episodes, weight = crop
    return all(16 <= length <= SLICE_SHAPE[0] for length in (size, extent)) and episodes >= 1 and weight > 0


def _check(key: str, value: object, right: bool, expected: str) -> None:
    if not right:
        raise InputError(f"{key}: {value!r}, expected {expected}")


def _leaves(config: ConfigDict, path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value
