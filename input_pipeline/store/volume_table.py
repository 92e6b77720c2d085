"""Tables of datasets of volumes, in the form of `table`: each plane of the grid, in each direction, is a row.

Subjects without images show every modality: their images are synthesised from their labels. These subjects also have a
class `lesion:1`, a lesion that is made up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from input_pipeline.space.grid import ORIGIN, SHAPE
from input_pipeline.space.modalities import MODALITIES
from input_pipeline.space.protocols import SEGMENTATION_CLASSES, other_side
from input_pipeline.space.tissue_classes import CLASSES, class_indices
from input_pipeline.store.table import BRAIN_LABELS, PLANE_NAMES, SliceCollection, chosen_subjects, subject_tables
from input_pipeline.store.volumes import PLANES, StoredVolumes
from neuralizer_jax.errors import InputError

# Rows of a subject: the planes along x, then those along y, then those along z. An axis has as many as the longest.
ROWS = 3 * PLANES

# Images of a subject without images are numbered downwards from here: one for each of `MODALITIES`, then as many of
# random contrasts.
FIRST_CONTRAST = -2

# A plane shows a brain if it has this share of the labelled voxels of the subject's largest one.
_LEAST_BRAIN = 0.15

# A lesion needs this much white matter around it, pixels.
_LEAST_WHITE_MATTER = 300


@dataclass(frozen=True, eq=False)
class VolumeCollection(SliceCollection):
    """Tables of G subjects with R = 672 rows each: row p + 224 a of a subject is plane p along axis a (x, y, z)."""

    datasets: tuple[StoredVolumes, ...]

    @cached_property
    def synthetic(self) -> np.ndarray:
        """Which subjects have no images: they are synthesised from the labels `[G]` bool."""
        return np.array([not entry["modalities"] for entry in self.entries], bool)

    @cached_property
    def modalities(self) -> dict[str, np.ndarray]:
        """Modality -> which subjects have an image of it, or labels to synthesise it from `[G]` bool."""
        able = self.synthetic & self.with_tissue
        real = super().modalities
        none = np.zeros(len(self.entries), bool)
        names = MODALITIES if able.any() else sorted(real)
        return {name: real.get(name, none) | able for name in names if (real.get(name, none) | able).any()}

    @cached_property
    def series(self) -> list[dict[str, tuple[int, ...]]]:
        """For each subject, modality -> places of its images, or the number of a contrast where it has none."""
        made_up: dict[str, tuple[int, ...]] = {name: (FIRST_CONTRAST - place,) for place, name in enumerate(MODALITIES)}
        return [made_up if synthetic else own for own, synthetic in zip(super().series, self.synthetic, strict=True)]

    @cached_property
    def with_head(self) -> np.ndarray:
        """Which subjects have labels outside of the brain, too `[G]` bool."""
        labels = [entry["label_voxels"].get("freesurfer", {}) for entry in self.entries]
        return self.with_tissue & np.array([any(int(label) > BRAIN_LABELS for label in own) for own in labels], bool)

    @cached_property
    def plane_of(self) -> np.ndarray:
        """Plane of each row `[R]`, index into `table.PLANE_NAMES`."""
        return np.tile(np.repeat(np.arange(3), PLANES), len(self.entries))

    @cached_property
    def in_brain(self) -> np.ndarray:
        """Which rows show enough of a brain to be planned `[R]` bool."""
        shown = np.zeros((len(self.entries), 3, PLANES), bool)
        for subject, entry in enumerate(self.entries):
            own = [name for name, source in entry["label_sources"].items() if source != "template"]
            anatomy = [name for name in own if name not in ("lesion", "tumour")]
            if anatomy:
                profile = self._profile(subject, anatomy[0], self._brain_codes(subject, anatomy[0]))
                shown[subject] = profile > _LEAST_BRAIN * profile.max(1, keepdims=True)
            else:
                for axis, length in enumerate(SHAPE):
                    shown[subject, axis, length // 4 : length * 3 // 4] = True
        return shown.reshape(-1)

    @cached_property
    def class_pixels(self) -> dict[str, tuple[tuple[int, ...], np.ndarray]]:
        """Protocol -> labels that a segmentation task may ask for, and pixels of each in each row `[R, labels]`.

        Template labels do not count.
        """
        found = {}
        for protocol, labels in SEGMENTATION_CLASSES.items():
            pixels = np.zeros((len(self.entries), 3, PLANES, len(labels)), np.uint16)
            for subject, entry in enumerate(self.entries):
                if entry["label_sources"].get(protocol, "template") != "template":
                    codes = self.codes(subject, protocol)
                    profiles = self._profiles(subject, protocol)
                    for column, label in enumerate(labels):
                        if label in codes:
                            pixels[subject, ..., column] = profiles[..., codes[label]]
                elif protocol == "lesion" and self.synthetic[subject] and self.with_tissue[subject]:
                    white = self._profile(subject, "freesurfer", self._tissue_codes(subject, "white_matter"))
                    pixels[subject, ..., 0] = np.where(white >= _LEAST_WHITE_MATTER, white, 0)
            if pixels.any():
                found[protocol] = labels, pixels.reshape(-1, len(labels))
        return found

    @cached_property
    def _pixels_by_side(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        found = {}
        for protocol, (labels, pixels) in self.class_pixels.items():
            others = other_side(protocol)[list(labels)].tolist()
            columns = [labels.index(o) for o in others]
            mirrored = pixels[:, columns].reshape(len(self.entries), 3, PLANES, len(labels))
            width = SHAPE[0]
            mirrored[:, 0, :width] = mirrored[:, 0, :width][:, ::-1]
            found[protocol] = pixels, mirrored.reshape(pixels.shape)
        return found

    def rows_beside(self, row: int) -> np.ndarray:
        """The row of each subject with the plane of a row `[G]`."""
        return self.first_row + row % ROWS

    def rows_at(self, plane: str, position: int) -> np.ndarray:
        """The row of each subject with a plane at a position `[G]`, mm along its normal."""
        axis = PLANE_NAMES.index(plane)
        if not 0 <= position - ORIGIN[axis] < SHAPE[axis]:
            last = ORIGIN[axis] + SHAPE[axis] - 1
            raise InputError(f"{plane} {position} mm: outside of the grid, expected {ORIGIN[axis]} to {last}")
        return self.first_row + PLANES * axis + position - ORIGIN[axis]

    def centre(self, row: int, label: int, protocol: str, flipped: bool) -> tuple[np.ndarray, np.ndarray]:
        """Where a label of a row's subject lies in the row's plane, or its brain if it has no such label.

        Returns:
            Middle and twice the standard deviation along rows and columns `[2]`, mm from the middle of the grid.
        """
        subject = int(self.subject_of[row])
        if flipped and label:
            label = int(other_side(protocol)[label])
        found = self.codes(subject, protocol)
        codes = [found[label]] if label in found else []
        if not codes:
            known = [name for name, source in self.entries[subject]["label_sources"].items() if source != "template"]
            protocol = known[0] if known else ""
            codes = self._brain_codes(subject, protocol) if known else []
        profile = self._profile(subject, protocol, codes) if codes else np.ones((3, PLANES), np.int64)
        total = np.maximum(profile.sum(1), 1)
        along = np.arange(PLANES) - (np.array(SHAPE)[:, None] - 1) / 2
        middle = (profile * along).sum(1) / total
        spread = 2 * np.sqrt((profile * (along - middle[:, None]) ** 2).sum(1) / total)
        middle[0] *= -1 if flipped else 1
        # Rows start at the high end, columns at the low end.
        rows, columns = [(2, 1), (2, 0), (1, 0)][self.plane_of[row]]
        return np.array([-middle[rows], middle[columns]]), spread[[rows, columns]]

    def codes(self, subject: int, protocol: str) -> dict[int, int]:
        """Label -> its code in the subject's dataset."""
        key = int(self.dataset_of[subject]), protocol
        if key not in self._codes:
            values = self.datasets[key[0]].label_values.get(protocol, ())
            self._codes[key] = {int(label): code for code, label in enumerate(values)}
        return self._codes[key]

    @cached_property
    def _codes(self) -> dict[tuple[int, str], dict[int, int]]:
        return {}

    def _profiles(self, subject: int, protocol: str) -> np.ndarray:
        return self.datasets[self.dataset_of[subject]].profiles[protocol][self.place_of[subject]]

    def _profile(self, subject: int, protocol: str, codes: list[int]) -> np.ndarray:
        """Voxels of some codes in each plane `[3, 224]`."""
        return self._profiles(subject, protocol)[..., codes].sum(-1, dtype=np.int64)

    def _brain_codes(self, subject: int, protocol: str) -> list[int]:
        """The codes of labels inside of the head: no background, no cerebrospinal fluid around the brain."""
        around = {0, 24} if protocol == "freesurfer" else {0}
        labels = self.codes(subject, protocol)
        return [code for label, code in labels.items() if label not in around and label <= BRAIN_LABELS]

    def _tissue_codes(self, subject: int, tissue: str) -> list[int]:
        labels = self.codes(subject, "freesurfer")
        classes = class_indices(np.array(list(labels), np.int64))
        return [code for code, own in zip(labels.values(), classes, strict=True) if CLASSES[own] == tissue]


def volume_collection(names: Sequence[str], datasets: Sequence[StoredVolumes], split: str) -> VolumeCollection:
    """The tables of the subjects of some datasets in one split, or several joined by `+`."""
    chosen = chosen_subjects(datasets, split)
    mm = np.concatenate([np.arange(PLANES) + start for start in ORIGIN])
    return VolumeCollection(
        tuple(names),
        tuple(datasets),
        **subject_tables(chosen, np.full(len(chosen), ROWS)),
        y=np.tile(mm, len(chosen)),
    )
