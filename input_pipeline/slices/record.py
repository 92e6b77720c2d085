"""The record of a subject, the contract between preparation and training: slices on the grid, labels and their sources.

Made by `from_scans` and `from_labelmaps`, written by `prepare.tfds_builder`, read by `store.records`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

# Sources of a label map or a brain mask.
SOURCES = (
    "published",  # part of the dataset
    "mapped",  # part of the dataset, converted to FreeSurfer labels
    "partial",  # a few structures alone: what has no label is not background
    "found",  # the user's file
    "mri_synthseg",  # made by this program
    "mri_synthstrip",  # made by this program
    "nonzero",  # where the skull-stripped image is not 0
    "segmentation",  # the brain of the label map
    "template",  # from MNI152, only as accurate as the alignment
    "synthetic",  # the image was made from it
)

# Intensities in [0, 1] are stored as whole numbers from 0 to this.
_MAX_INTENSITY = 65535

# Each person of a dataset is in one of these (`prepare.splits`).
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False, kw_only=True)
class SubjectRecord:
    """M images, P label maps and a brain mask of a subject, on the same S coronal slices (`grid.coronal_image`).

    Attributes:
        dataset: name of the dataset.
        subject: id, unique in the dataset.
        person: subjects of one person share it, and are in the same split.
        split: `train`, `val` or `test`; empty while the dataset is being prepared.
        age: years; None if not published.
        sex: `F` or `M`; None if not published.
        y: `[S]` int16, position of the slices, mm in MNI152.
        modalities: M names of `space.modalities`, such as `T1` or `DTI-00`.
        images: `[M, S, 192, 192]` uint16, 0 to 65535 for [0, 1] (`quantize`); float32 in the unit of the file while the
            dataset is being prepared.
        coverage: `[M, S]` float32, share of the brain in the slice within the image's field of view.
        to_mni: `[M, 4, 4]` float64, world of the image's file (mm, RAS) -> MNI152 (mm, RAS).
        protocols: P names of `protocols.PROTOCOLS`.
        labels: `[P, S, 192, 192]` uint16.
        label_sources: P names of `SOURCES`.
        brain_mask: `[S, 192, 192]` bool.
        mask_source: one of `SOURCES`.
        skull_stripped: whether the images are 0 outside of the brain.
        alignment: method of alignment to MNI152: `centroids` or `intensity`; `none`: made in MNI152.
        residual_mm: root mean square distance of the aligned structures' centroids; None unless aligned by `centroids`.
        mutual_information: of image and template, nats; None unless aligned by `intensity`.
    """

    dataset: str
    subject: str
    person: str
    split: str = ""
    age: float | None = None
    sex: str | None = None
    y: np.ndarray
    modalities: tuple[str, ...]
    images: np.ndarray
    coverage: np.ndarray
    to_mni: np.ndarray
    protocols: tuple[str, ...]
    labels: np.ndarray
    label_sources: tuple[str, ...]
    brain_mask: np.ndarray
    mask_source: str
    skull_stripped: bool
    alignment: str
    residual_mm: float | None = None
    mutual_information: float | None = None

    def image(self, modality: str, slice_index: int = 0) -> np.ndarray:
        """One slice `[192, 192]` of a modality, float32 in [0, 1]. Raises ValueError if there is none."""
        return dequantize(self.images[self.modalities.index(modality), slice_index])


_TEXTS = ("dataset", "subject", "person", "split", "mask_source", "alignment")
_TEXT_LISTS = ("modalities", "protocols", "label_sources")
_OPTIONAL_NUMBERS = ("age", "residual_mm", "mutual_information")


def to_example(record: SubjectRecord) -> dict[str, np.ndarray | str | list[str] | float | bool]:
    """Converts a record to a flat dictionary. Missing numbers become NaN, a missing sex an empty text."""
    example: dict = {field.name: getattr(record, field.name) for field in fields(record)}
    example |= {name: list(example[name]) for name in _TEXT_LISTS}
    example |= {name: np.nan if example[name] is None else float(example[name]) for name in _OPTIONAL_NUMBERS}
    example["sex"] = record.sex or ""
    example["brain_mask"] = record.brain_mask.astype(np.uint8)
    return example


def from_example(example: Mapping) -> SubjectRecord:
    """Converts such a dictionary to a record. Texts may be bytes (TFDS) or NumPy scalars (`.npz`)."""
    values = {field.name: example[field.name] for field in fields(SubjectRecord)}
    values |= {name: _text(values[name]) for name in (*_TEXTS, "sex")}
    values |= {name: tuple(_text(value) for value in values[name]) for name in _TEXT_LISTS}
    values |= {name: None if np.isnan(values[name]) else float(values[name]) for name in _OPTIONAL_NUMBERS}
    values["sex"] = values["sex"] or None
    values["brain_mask"] = np.asarray(values["brain_mask"]).astype(bool)
    values["skull_stripped"] = bool(values["skull_stripped"])
    return SubjectRecord(**values)


def quantize(image: np.ndarray) -> np.ndarray:
    """Converts intensities in [0, 1] to uint16, and clips values outside."""
    return np.rint(np.clip(image, 0, 1) * np.float32(_MAX_INTENSITY)).astype(np.uint16)


def dequantize(image: np.ndarray) -> np.ndarray:
    """The inverse of `quantize`, float32 in [0, 1]."""
    return image.astype(np.float32) / np.float32(_MAX_INTENSITY)


def _text(value: bytes | str | np.ndarray) -> str:
    value = value.item() if isinstance(value, np.ndarray) else value
    return value.decode() if isinstance(value, bytes) else str(value)
