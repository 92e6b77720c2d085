"""The anatomy of a scanned subject: its whole-brain segmentation and brain mask, found or made."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from input_pipeline.align.to_mni import Volume
from input_pipeline.raw.derivatives import (
    Index,
    find_brain_mask,
    find_segmentation,
    make_brain_mask,
    make_segmentation,
)
from input_pipeline.raw.subject import RawLabels, RawSubject
from input_pipeline.slices.images import preference
from input_pipeline.space.protocols import fold_freesurfer, to_freesurfer
from neuralizer_jax.files.volumes import read_volume


@dataclass(frozen=True)
class Derivatives:
    """The user's segmentation and brain mask of a subject, and where missing ones are made.

    Attributes:
        modality: the image that segmentation and mask belong to; None if there are none.
        segmentation: file with FreeSurfer labels.
        brain_mask: file, above 0 inside.
        made: folder for the output of segmentation programs.
    """

    modality: str | None
    segmentation: Path | None
    brain_mask: Path | None
    made: Path


@dataclass(frozen=True, eq=False)
class Labels:
    """A label map or brain mask in the world of the reference image.

    Attributes:
        volume: values, FreeSurfer labels or above 0 in the brain; and affine.
        source: one of `record.SOURCES`.
        protocol: label protocol of the file; None for a brain mask.
        path: the file.
    """

    volume: Volume
    source: str
    protocol: str | None = None
    path: Path | None = None


def find_derivatives(raw: RawSubject, index: Index, made: Path) -> Derivatives:
    """The derivatives of the preferred image with a segmentation, else of the preferred image with a brain mask.

    Args:
        raw: the subject.
        index: the user's files that are not beside the images (`index_segmentations`).
        made: folder for the output of segmentation programs.

    Raises:
        InputError: if several files fit equally well.
    """
    found = []
    for modality in sorted(raw.images, key=preference):
        image = raw.images[modality], raw.subject, index
        found.append(Derivatives(modality, find_segmentation(*image), find_brain_mask(*image), made))
    best = [d for d in found if d.segmentation] + [d for d in found if d.brain_mask]
    return best[0] if best else Derivatives(None, None, None, made)


def read_published(raw: RawSubject, labels: RawLabels) -> Volume:
    """Values and affine of one of the dataset's label maps, on the grid that it was drawn on."""
    return read_volume(labels.path, labels=True, grid_of=raw.images[labels.grid_of] if labels.grid_of else None)


def read_segmentation(raw: RawSubject, reference: str, derivatives: Derivatives) -> Labels | None:
    """The whole-brain segmentation with FreeSurfer labels, from the first source available; None without any.

    1. The user's file.
    2. The dataset's own, if it has FreeSurfer labels.
    3. A new one, made by `mri_synthseg` if it is installed.
    4. The dataset's own in another protocol, converted. Only some of its structures have a FreeSurfer label.

    Raises:
        InputError: for a file that cannot be used, or if the program fails.
    """
    published = next((labels for labels in raw.labels if labels.protocol == "freesurfer"), None)
    other = next((labels for labels in raw.labels if labels.protocol in ("hammers", "neuromorphometrics")), None)
    path: Path | None
    if derivatives.segmentation:
        path, source = derivatives.segmentation, "found"
    elif published:
        path, source = published.path, "published"
    else:
        made = derivatives.made / f"{raw.subject}_synthseg.nii.gz"
        path, source = make_segmentation(raw.images[reference], made), "mri_synthseg"
    if path:
        values, affine = read_volume(path, labels=True)
        if source == "published" and published and published.numbers is not None:
            numbers = np.zeros(2**16, np.uint16)
            numbers[list(published.numbers)] = list(published.numbers.values())
            values = numbers[values]
        return Labels((fold_freesurfer(values), affine), source, "freesurfer", path)
    if other:
        values, affine = read_published(raw, other)
        return Labels((to_freesurfer(values, other.protocol), affine), "mapped", other.protocol, other.path)
    return None


def read_brain_mask(raw: RawSubject, reference: str, derivatives: Derivatives) -> Labels | None:
    """The brain mask, from the first source available; None without any.

    1. The dataset's own.
    2. The user's file.
    3. For full heads, a new one made by `mri_synthstrip` if it is installed.

    Raises:
        InputError: for a file that cannot be used, or if the program fails.
    """
    path: Path | None = None
    source = "mri_synthstrip"
    if raw.brain_mask:
        path, source = raw.brain_mask, "published"
    elif derivatives.brain_mask:
        path, source = derivatives.brain_mask, "found"
    elif not raw.skull_stripped:
        path = make_brain_mask(raw.images[reference], derivatives.made / f"{raw.subject}_synthstrip.nii.gz")
    if not path:
        return None
    values, affine = read_volume(path)
    return Labels(((values > 0).astype(np.uint8), affine), source)
