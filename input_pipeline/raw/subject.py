"""The files of one subject in a dataset's folder: what `datasets/` hands to the steps after it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class RawLabels:
    """A label map on disk.

    Attributes:
        path: the file.
        protocol: label convention, one of `space.protocols.PROTOCOLS`.
        grid_of: modality whose voxel grid and affine replace those in the map's own header; None: the header holds.
        keep: label values to keep, all others become background; None: all. Every kept value of a lesion map becomes 1.
        numbers: label of the protocol for each value of the file, all others become background; None: the values are
            the protocol's labels.
    """

    path: Path
    protocol: str
    grid_of: str | None = None
    keep: tuple[int, ...] | None = None
    numbers: Mapping[int, int] | None = None


@dataclass(frozen=True)
class RawSubject:
    """One subject on disk; in a longitudinal dataset, one session of one person.

    Attributes:
        dataset: name of the dataset: `ixi`, `brats2021`, ...
        subject: id, unique in the dataset; with a session, `SUBJECT_SESSION`.
        person: id shared by all subjects of a person, who stay in one split.
        images: file of each modality (`space.modalities.MODALITIES`; a diffusion direction is `DTI-00` and so on).
        labels: label maps, at most one for each protocol.
        aligned: groups of modalities that are registered to each other already, so that one alignment serves the group.
            A modality in no group is aligned by itself.
        skull_stripped: whether voxels outside the brain are zero.
        age: years; None if not published.
        sex: `F` or `M`; None if not published.
        brain_mask: published brain mask, above 0 inside the brain, on the grid of its own header.
        chosen: where several files could be meant, the one taken for each modality, `labels` and `brain mask`, and why.
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
    chosen: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Discovery:
    """The subjects found in a dataset's folder, in a fixed order, and what was dropped, with the reason."""

    subjects: tuple[RawSubject, ...]
    dropped: dict[str, str] = field(default_factory=dict)
