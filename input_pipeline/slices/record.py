"""One subject as all that comes after preparation sees it: slices on the MNI grid, labels, and where all of it is from.

Made by `scan_slices`, `labelmap_slices` and `phantom_slices`; written by `builders` and read by `slice_store`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

# How a label map or a brain mask came to be.
SOURCES = (
    "published",  # part of the dataset
    "mapped",  # part of the dataset, in the numbers of another protocol
    "found",  # the user's
    "mri_synthseg",  # made by the program
    "mri_synthstrip",  # made by the program
    "nonzero",  # where a skull-stripped image is not zero
    "segmentation",  # mask of the label map
    "template",  # those of MNI152: true only as far as alignment goes
    "synthetic",  # what the image was made from
)

# How the affine map to MNI152 was found; `none`: made there.
ALIGNMENTS = ("centroids", "intensity", "none")

_INTENSITY_STEPS = 65535


@dataclass(frozen=True, eq=False)
class SubjectRecord:
    """M images, P label maps and one brain mask of a subject, on the same S coronal slices (`grid.coronal_image`).

    Attributes:
        dataset: its name.
        subject: id, unique in the dataset.
        person: subjects of the same person share it, and their split.
        split: `train`, `val` or `test`; empty while the dataset is being prepared.
        age: years, None where not published.
        sex: `F` or `M`, None where not published.
        y: `[S]` int16, where the slices lie, mm in MNI152.
        modalities: M names, `modalities.MODALITIES` and `DTI-00` and so on.
        images: `[M, S, 192, 192]` uint16, 0 to 65535 for [0, 1]; float32 in the file's own units while the dataset is
            being prepared.
        coverage: `[M, S]` float32, share of the brain in the slice that the image's field of view covers.
        to_mni: `[M, 4, 4]` float64, world of the image's file (mm, RAS) -> MNI152 (mm, RAS).
        protocols: P names, of `protocols.PROTOCOLS`.
        labels: `[P, S, 192, 192]` uint16.
        label_sources: P names, of `SOURCES`.
        brain_mask: `[S, 192, 192]` bool.
        mask_source: of `SOURCES`.
        skull_stripped: whether the images are zero outside of the brain.
        alignment: one of `ALIGNMENTS`.
        residual_mm: root mean square distance of the aligned structures' centroids; None but for `centroids`.
        mutual_information: with the template, nats; None but for `intensity`.
    """

    dataset: str
    subject: str
    person: str
    split: str
    age: float | None
    sex: str | None
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
        """One slice `[192, 192]` of a modality, float32 in [0, 1]. Raises ValueError where the subject has none."""
        return from_steps(self.images[self.modalities.index(modality), slice_index])


_TEXTS = ("dataset", "subject", "person", "split", "mask_source", "alignment")
_TEXT_LISTS = ("modalities", "protocols", "label_sources")
_OPTIONAL_NUMBERS = ("age", "residual_mm", "mutual_information")


def to_example(record: SubjectRecord) -> dict[str, np.ndarray | str | list[str] | float | bool]:
    """The record as a flat dictionary of arrays, numbers and texts: a missing number is NaN, a missing sex empty."""
    example = {field.name: getattr(record, field.name) for field in fields(record)}
    example |= {name: list(example[name]) for name in _TEXT_LISTS}
    example |= {name: np.nan if example[name] is None else float(example[name]) for name in _OPTIONAL_NUMBERS}
    example["sex"] = record.sex or ""
    example["brain_mask"] = record.brain_mask.astype(np.uint8)
    return example


def from_example(example: Mapping) -> SubjectRecord:
    """The record of such a dictionary, also of one whose texts are bytes (TFDS) or NumPy scalars (`.npz`)."""
    values = {field.name: example[field.name] for field in fields(SubjectRecord)}
    values |= {name: _text(values[name]) for name in (*_TEXTS, "sex")}
    values |= {name: tuple(_text(value) for value in values[name]) for name in _TEXT_LISTS}
    values |= {name: None if np.isnan(values[name]) else float(values[name]) for name in _OPTIONAL_NUMBERS}
    values["sex"] = values["sex"] or None
    values["brain_mask"] = np.asarray(values["brain_mask"]).astype(bool)
    values["skull_stripped"] = bool(values["skull_stripped"])
    return SubjectRecord(**values)


def to_steps(image: np.ndarray) -> np.ndarray:
    """Intensities in [0, 1] as uint16; what lies outside is clipped."""
    return np.rint(np.clip(image, 0, 1) * np.float32(_INTENSITY_STEPS)).astype(np.uint16)


def from_steps(steps: np.ndarray) -> np.ndarray:
    """The reverse of `to_steps`, float32."""
    return steps.astype(np.float32) / np.float32(_INTENSITY_STEPS)


def _text(value: bytes | str | np.ndarray) -> str:
    value = value.item() if isinstance(value, np.ndarray) else value
    return value.decode() if isinstance(value, bytes) else str(value)
