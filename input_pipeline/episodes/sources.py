"""The data that can show each task: dataset, modalities and protocol, without what is held out."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from ml_collections import ConfigDict

from input_pipeline.ops.registry import CHANNELS, TASKS, Task
from input_pipeline.space.modalities import MODALITIES
from input_pipeline.space.protocols import SEGMENTATION_CLASSES
from input_pipeline.store.table import PLANE_NAMES, SliceCollection
from input_pipeline.store.volume_table import FIRST_CONTRAST
from neuralizer_jax.errors import InputError

KINDS = ("tasks", "modalities", "datasets", "classes", "planes")


@dataclass(frozen=True, eq=False)
class Source:
    """Subjects of a dataset that show a task with the same modalities and protocol.

    Attributes:
        dataset: number of the dataset in the collection.
        modalities: modality of each channel; `DTI` stands for any of its directions.
        protocol: protocol of the segmented class; empty if the task segments none.
        subjects: `[k]` numbers of the subjects in the collection.
    """

    dataset: int
    modalities: tuple[str, ...]
    protocol: str
    subjects: np.ndarray


@dataclass(frozen=True)
class Selection:
    """The names that episodes may show: all of `only`, or all that there are, without those held out.

    Attributes:
        tasks: names of tasks.
        modalities: names of modalities.
        datasets: names of datasets.
        classes: labels of each protocol.
        planes: names of planes.
    """

    tasks: tuple[str, ...]
    modalities: tuple[str, ...]
    datasets: tuple[str, ...]
    classes: dict[str, tuple[int, ...]]
    planes: tuple[str, ...]


def select(config: ConfigDict, collection: SliceCollection) -> Selection:
    """Applies `config.hold_out` and `config.only`, which list names of each kind; a class is named `freesurfer:17`.

    Raises:
        InputError: for a name that the data does not have.
    """
    classes = {
        f"{protocol}:{label}": (protocol, label)
        for protocol, (labels, pixels) in collection.class_pixels.items()
        for label, most in zip(labels, pixels.max(0), strict=True)
        if most
    }
    every = {
        "tasks": tuple(TASKS),
        "modalities": tuple(collection.modalities),
        "datasets": collection.names,
        "classes": tuple(classes),
        "planes": tuple(PLANE_NAMES[plane] for plane in np.unique(collection.plane_of)),
    }
    left = {}
    for kind, names in every.items():
        out, only = tuple(config.hold_out[kind]), tuple(config.only[kind])
        for option, chosen in (("hold_out", out), ("only", only)):
            if unknown := [name for name in chosen if name not in names]:
                raise InputError(f"{option}.{kind}: {unknown[0]!r} is unknown, expected some of {', '.join(names)}")
        left[kind] = tuple(name for name in names if name not in out and (not only or name in only))
        if names and not left[kind]:
            raise InputError(f"hold_out.{kind}: nothing is left of {', '.join(names)}")
    by_protocol: dict[str, tuple[int, ...]] = dict.fromkeys(SEGMENTATION_CLASSES, ())
    for name in left["classes"]:
        protocol, label = classes[name]
        by_protocol[protocol] += (label,)
    return Selection(left["tasks"], left["modalities"], left["datasets"], by_protocol, left["planes"])


def task_sources(
    task: Task, collection: SliceCollection, selection: Selection, allowed: np.ndarray, min_pixels: int
) -> Iterator[Source]:
    """The sources of a task, from the rows that are `allowed` `[R]` bool; none if the data cannot show it."""
    with_rows = np.bincount(collection.subject_of, allowed, len(collection.entries)) > 0
    for number, name in enumerate(collection.names):
        if name not in selection.datasets:
            continue
        inside = with_rows & (collection.dataset_of == number)
        for modalities in permutations(selection.modalities, CHANNELS[task.needs]):
            having = inside & np.all([collection.modalities[modality] for modality in modalities], axis=0)
            if task.needs == "brain mask":
                having = having & collection.full_heads
            for protocol in _protocols(collection, selection) if task.needs == "class" else ("",):
                showing = (
                    having & _showing(collection, selection, protocol, allowed, min_pixels) if protocol else having
                )
                if showing.any():
                    yield Source(number, modalities, protocol, np.flatnonzero(showing))


def _protocols(collection: SliceCollection, selection: Selection) -> list[str]:
    return [protocol for protocol in collection.class_pixels if selection.classes[protocol]]


def _showing(
    collection: SliceCollection, selection: Selection, protocol: str, allowed: np.ndarray, min_pixels: int
) -> np.ndarray:
    """Which subjects show a selected class, bool `[G]`."""
    labels, pixels = collection.class_pixels[protocol]
    columns = [labels.index(label) for label in selection.classes[protocol]]
    rows = (pixels[:, columns] >= min_pixels).any(1) & allowed
    return np.bincount(collection.subject_of, rows, len(collection.entries)) > 0


def with_random_contrasts(rng: np.random.Generator, images: np.ndarray, probability: float) -> np.ndarray:
    """Replaces some modalities of synthesised images `[1 + N, 3]` by random contrasts, in all images alike."""
    replaced = rng.random(len(MODALITIES)) < probability
    made_up = images <= FIRST_CONTRAST
    modality = np.where(made_up, FIRST_CONTRAST - images, 0)
    return np.where(made_up & replaced[modality], images - len(MODALITIES), images)


def with_subjects(sources: list[Source], subjects: np.ndarray, least: int) -> list[Source]:
    """The sources restricted to `subjects`; those with fewer than `least` are dropped."""
    kept = [replace(source, subjects=np.intersect1d(source.subjects, subjects)) for source in sources]
    return [source for source in kept if len(source.subjects) >= least]
