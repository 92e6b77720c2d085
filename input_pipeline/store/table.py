"""Tables of the slices of several datasets, from which episodes are planned without reading an image.

A *row* is one slice of one subject. Subjects, persons and rows are numbered across all datasets. `volume_table` makes
the same tables of datasets of volumes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from input_pipeline.space.modalities import series_of
from input_pipeline.space.protocols import SEGMENTATION_CLASSES, other_side
from input_pipeline.store.memmap import UnpackedSlices, open_unpacked
from input_pipeline.store.volumes import StoredVolumes, holds_volumes, open_volumes
from neuralizer_jax.errors import InputError

# A slice's plane, by its normal: x, y or z.
PLANE_NAMES = ("sagittal", "coronal", "axial")

# Labels above this number are outside the brain.
BRAIN_LABELS = 500


@dataclass(frozen=True, eq=False)
class SliceCollection:
    """Tables of G subjects with R rows.

    Attributes:
        names: names of the datasets, which are those of their folders.
        datasets: their slices or volumes.
        entries: `[G]` each subject's entry in its dataset's index.
        dataset_of: `[G]` number of each subject's dataset.
        place_of: `[G]` each subject's place in its dataset's index.
        person_of: `[G]` number of each subject's person.
        first_row: `[G]` each subject's first row.
        subject_of: `[R]` each row's subject.
        y: `[R]` where each row's slice is, mm in MNI152 along the normal of its plane: y for slices.
    """

    names: tuple[str, ...]
    datasets: tuple[UnpackedSlices, ...] | tuple[StoredVolumes, ...]
    entries: tuple[dict, ...]
    dataset_of: np.ndarray
    place_of: np.ndarray
    person_of: np.ndarray
    first_row: np.ndarray
    subject_of: np.ndarray
    y: np.ndarray

    @cached_property
    def modalities(self) -> dict[str, np.ndarray]:
        """Modality -> which subjects have an image of it `[G]` bool; all directions of DTI are one modality."""
        keys = sorted({series_of(name) for entry in self.entries for name in entry["modalities"]})
        own = [{series_of(name) for name in entry["modalities"]} for entry in self.entries]
        return {key: np.array([key in names for names in own]) for key in keys}

    @cached_property
    def series(self) -> list[dict[str, tuple[int, ...]]]:
        """For each subject, modality -> places of its images: one, or for DTI one for each direction."""
        found = []
        for entry in self.entries:
            own: dict[str, tuple[int, ...]] = {}
            for place, name in enumerate(entry["modalities"]):
                own[series_of(name)] = (*own.get(series_of(name), ()), place)
            found.append(own)
        return found

    @cached_property
    def full_heads(self) -> np.ndarray:
        """Which subjects are not skull-stripped and have a brain mask of their own `[G]` bool."""
        return np.array([not e["skull_stripped"] and e["mask_source"] != "template" for e in self.entries])

    @cached_property
    def with_tissue(self) -> np.ndarray:
        """Which subjects have FreeSurfer labels of their whole brain, to synthesise images from `[G]` bool."""
        sources = [e["label_sources"].get("freesurfer", "template") for e in self.entries]
        return np.array([source not in ("template", "partial") for source in sources])

    @cached_property
    def with_head(self) -> np.ndarray:
        """Which of these have labels outside the brain, too `[G]` bool."""
        labels = [e["label_pixels"].get("freesurfer", {}) for e in self.entries]
        return self.with_tissue & np.array([any(int(label) > BRAIN_LABELS for label in own) for own in labels], bool)

    @cached_property
    def class_pixels(self) -> dict[str, tuple[tuple[int, ...], np.ndarray]]:
        """Protocol -> labels that a segmentation task may ask for, and pixels of each in each row `[R, labels]` int32.

        Template labels do not count.
        """
        found = {}
        for protocol, labels in SEGMENTATION_CLASSES.items():
            pixels = np.zeros((len(self.y), len(labels)), np.int32)
            for subject, entry in enumerate(self.entries):
                if entry["label_sources"].get(protocol, "template") != "template":
                    rows = slice(self.first_row[subject], self.first_row[subject] + len(entry["y"]))
                    own = entry["label_pixels"][protocol]
                    for column, label in enumerate(labels):
                        if str(label) in own:
                            pixels[rows, column] = own[str(label)]
            if pixels.any():
                found[protocol] = labels, pixels
        return found

    def pixels(self, protocol: str, flipped: bool) -> np.ndarray:
        """`class_pixels` of a protocol `[R, labels]`; `flipped`: with left and right of the slices exchanged."""
        return self._pixels_by_side[protocol][flipped]

    @cached_property
    def _pixels_by_side(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        found = {}
        for protocol, (labels, pixels) in self.class_pixels.items():
            others = other_side(protocol)[list(labels)].tolist()
            mirrored = [pixels[:, labels.index(o)] if o in labels else np.zeros(len(pixels), int) for o in others]
            found[protocol] = pixels, np.stack(mirrored, axis=1)
        return found

    @property
    def plane_of(self) -> np.ndarray:
        """Plane of each row `[R]`, index into `PLANE_NAMES`."""
        return np.ones(len(self.y), np.int64)

    @property
    def in_brain(self) -> np.ndarray:
        """Which rows show enough of a brain to be planned `[R]` bool."""
        return np.ones(len(self.y), bool)

    @property
    def synthetic(self) -> np.ndarray:
        """Which subjects have no images: they are synthesised from the labels `[G]` bool."""
        return np.zeros(len(self.entries), bool)

    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of each dataset by name: of its subjects, their splits, modalities and sizes of structures."""
        keys = ("subject", "person", "split", "modalities", "label_pixels", "label_voxels")
        texts = [json.dumps([[entry.get(key) for key in keys] for entry in its.index]) for its in self.datasets]
        return {name: sha256(text.encode()).hexdigest() for name, text in zip(self.names, texts, strict=True)}

    def rows_of(self, subject: int) -> np.ndarray:
        """The rows of a subject."""
        ends = np.append(self.first_row[1:], len(self.y))
        return np.arange(self.first_row[subject], ends[subject])

    def rows_beside(self, row: int) -> np.ndarray:
        """The row of each subject whose slice is nearest to that of a row, in the same plane `[G]`."""
        return self.nearest_rows(int(self.y[row]))

    def rows_at(self, plane: str, position: int) -> np.ndarray:
        """The row of each subject at, or nearest to, a position in a plane `[G]`, mm along its normal.

        Raises:
            InputError: a plane or position that no subject can have.
        """
        if plane != "coronal":
            raise InputError(f"{', '.join(self.names)}: coronal slices, expected volumes to show {plane} ones")
        return self.nearest_rows(position)

    def nearest_rows(self, y: int) -> np.ndarray:
        """The row of each subject whose coronal slice is nearest to y mm `[G]`."""
        if y not in self._nearest:
            distance = np.abs(self.y - y)
            order = np.lexsort((np.arange(len(distance)), distance, self.subject_of))
            first = np.searchsorted(self.subject_of[order], np.arange(len(self.entries)))
            self._nearest[y] = order[first]
        return self._nearest[y]

    @cached_property
    def _nearest(self) -> dict[int, np.ndarray]:
        return {}


def open_collection(folders: Sequence[str | Path], split: str) -> SliceCollection:
    """Opens datasets, all of slices or all of volumes, and makes the tables of their subjects in one or several splits.

    Args:
        folders: the datasets, each `OUT/DATASET` or `OUT/DATASET-volumes`.
        split: `train`, `val` or `test`, or several joined by `+`.

    Raises:
        InputError: a folder holds no dataset, two folders have the same name, or some hold slices and some volumes.
    """
    paths = [Path(folder) for folder in folders]
    names = tuple(path.absolute().name for path in paths)
    if twice := next((path for path, name in zip(paths, names, strict=True) if names.count(name) > 1), None):
        raise InputError(f"{twice}: another dataset has the same name, expected folders of different names")
    volumes = [holds_volumes(path) for path in paths]
    if any(volumes):
        from input_pipeline.store.volume_table import volume_collection  # it is a kind of SliceCollection

        if not all(volumes):
            wrong = paths[volumes.index(False)]
            raise InputError(f"{wrong}: holds no volumes as the other datasets do, expected the same kind of all")
        return volume_collection(names, [open_volumes(path) for path in paths], split)
    datasets = tuple(open_unpacked(path) for path in paths)
    chosen = chosen_subjects(datasets, split)
    counts = np.array([len(entry["y"]) for _, _, entry in chosen], np.int64)
    return SliceCollection(
        names,
        datasets,
        **subject_tables(chosen, counts),
        y=np.array([y for _, _, entry in chosen for y in entry["y"]], np.int64),
    )


# Number of the dataset, place in its index, entry there.
Subject = tuple[int, int, dict]


def chosen_subjects(datasets: Sequence[UnpackedSlices | StoredVolumes], split: str) -> list[Subject]:
    """The subjects of one or several splits."""
    return [
        (number, place, entry)
        for number, dataset in enumerate(datasets)
        for place, entry in enumerate(dataset.index)
        if entry["split"] in split.split("+")
    ]


def subject_tables(chosen: Sequence[Subject], rows: np.ndarray) -> dict[str, Any]:
    """The tables of subjects that have `rows` `[G]` rows each, as arguments of `SliceCollection`."""
    people: dict[tuple[int, str], int] = {}
    person_of = [people.setdefault((number, entry["person"]), len(people)) for number, _, entry in chosen]
    return {
        "entries": tuple(entry for _, _, entry in chosen),
        "dataset_of": np.array([number for number, _, _ in chosen], np.int64),
        "place_of": np.array([place for _, place, _ in chosen], np.int64),
        "person_of": np.array(person_of, np.int64),
        "first_row": np.concatenate([[0], rows.cumsum()])[:-1].astype(np.int64),
        "subject_of": np.repeat(np.arange(len(chosen)), rows),
    }
