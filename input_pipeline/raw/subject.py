"""What a dataset's folder holds of one subject, as files: the contract between `datasets/` and everything after it."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class RawLabels:
    """A label map on disk.

    Attributes:
        path: the file.
        protocol: one of `PROTOCOLS`.
        grid_of: the modality whose voxel grid and affine the map takes, whatever its own header says; None: its own.
        keep: the values that count, all others are background; None: all. A lesion map is 1 where any of them is.
    """

    path: Path
    protocol: str
    grid_of: str | None = None
    keep: tuple[int, ...] | None = None


@dataclass(frozen=True)
class RawSubject:
    """One subject (of a longitudinal set: one session of one) as it lies on disk.

    Attributes:
        dataset: name of the dataset, `ixi`, `brats2021`, ...
        subject: id, unique in the dataset; with a session, `SUBJECT_SESSION`.
        person: subjects of the same person share it: they stay on one side of every split.
        images: file of each modality (`MODALITIES`; `DTI-00` and so on for directions).
        labels: label maps, at most one a protocol.
        aligned: groups of modalities that lie on one another already: one alignment serves a group. A modality in none
            is aligned by itself.
        skull_stripped: whether everything outside of the brain is zero.
        age: years, where published.
        sex: `F` or `M`, where published.
        brain_mask: published mask of the subject's brain, above 0 inside, placed by its own header.
    """

    dataset: str
    subject: str
    person: str
    images: dict[str, Path]
    labels: tuple[RawLabels, ...] = ()
    aligned: tuple[tuple[str, ...], ...] = ()
    skull_stripped: bool = False
    age: float | None = None
    sex: str | None = None
    brain_mask: Path | None = None


@dataclass(frozen=True)
class Discovery:
    """What was found in a dataset's folder: subjects in a fixed order, and what was passed over, with the reason."""

    subjects: tuple[RawSubject, ...]
    dropped: dict[str, str] = field(default_factory=dict)
