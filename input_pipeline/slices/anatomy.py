"""What is known of a scanned subject's anatomy: its segmentation and brain mask, and how it lies in MNI152 space."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from input_pipeline.align.centroids import fit_affine, label_centroids
from input_pipeline.align.checks import check_inside_grid
from input_pipeline.align.intensities import register_to_template
from input_pipeline.align.reference import REFERENCE_CENTROIDS
from input_pipeline.raw.derivatives import make_brain_mask, make_segmentation
from input_pipeline.raw.subject import RawLabels, RawSubject
from input_pipeline.slices.settings import Align
from input_pipeline.space.protocols import fold_freesurfer, to_freesurfer
from input_pipeline.space.resample import resample_to_grid
from neuralizer_jax.files.volumes import read_volume


@dataclass(frozen=True, eq=False)
class Scan:
    """An image: its modality, values `[X, Y, Z]` float32, and affine `[4, 4]`, voxel -> world in mm (RAS)."""

    modality: str
    volume: np.ndarray
    affine: np.ndarray


@dataclass(frozen=True)
class Beside:
    """What of a subject lies beside its images or in the user's folder of segmentations, and where more is made.

    Attributes:
        modality: of the image that segmentation and mask are of; None where there is neither.
        segmentation: in FreeSurfer's numbers.
        brain_mask: above 0 inside.
        made: folder for what programs make.
    """

    modality: str | None
    segmentation: Path | None
    brain_mask: Path | None
    made: Path


@dataclass(frozen=True, eq=False)
class Labels:
    """A map in the world of the reference image.

    Attributes:
        values: `[X, Y, Z]`, FreeSurfer's numbers, or above 0 in the brain.
        affine: `[4, 4]`, voxel -> world in mm (RAS).
        source: of `subject_record.SOURCES`.
        protocol: whose numbers the file has (`protocols.PROTOCOLS`); None for a mask.
    """

    values: np.ndarray
    affine: np.ndarray
    source: str
    protocol: str | None = None


@dataclass(frozen=True, eq=False)
class Alignment:
    """The reference image's world in MNI152: a record's `to_mni`, `alignment`, `residual_mm`, `mutual_information`."""

    to_mni: np.ndarray
    method: str
    residual_mm: float | None = None
    mutual_information: float | None = None


def read_published(raw: RawSubject, labels: RawLabels) -> tuple[np.ndarray, np.ndarray]:
    """Values and affine of one of the dataset's label maps, on the grid that it is on."""
    return read_volume(labels.path, labels=True, grid_of=raw.images[labels.grid_of] if labels.grid_of else None)


def subject_segmentation(raw: RawSubject, reference: str, beside: Beside) -> Labels | None:
    """The whole-brain segmentation in FreeSurfer's numbers: the user's, else made, else the dataset's own; else None.

    A dataset's own counts before one is made where it has FreeSurfer's protocol, and last where it has another, of
    which only some structures have a FreeSurfer number. Raises InputError for a file that cannot be used.
    """
    published = next((labels for labels in raw.labels if labels.protocol == "freesurfer"), None)
    other = next((labels for labels in raw.labels if labels.protocol in ("hammers", "neuromorphometrics")), None)
    if beside.segmentation:
        path, source = beside.segmentation, "found"
    elif published:
        path, source = published.path, "published"
    elif path := make_segmentation(raw.images[reference], beside.made / f"{raw.subject}_synthseg.nii.gz"):
        source = "mri_synthseg"
    elif other:
        values, affine = read_published(raw, other)
        return Labels(to_freesurfer(values, other.protocol), affine, "mapped", other.protocol)
    else:
        return None
    values, affine = read_volume(path, labels=True)
    return Labels(fold_freesurfer(values), affine, source, "freesurfer")


def subject_brain_mask(raw: RawSubject, reference: str, beside: Beside) -> Labels | None:
    """The brain mask: the dataset's own, else the user's, else, of a full head, made; else None."""
    if raw.brain_mask:
        path, source = raw.brain_mask, "published"
    elif beside.brain_mask:
        path, source = beside.brain_mask, "found"
    elif not raw.skull_stripped and (
        path := make_brain_mask(raw.images[reference], beside.made / f"{raw.subject}_synthstrip.nii.gz")
    ):
        source = "mri_synthstrip"
    else:
        return None
    values, affine = read_volume(path)
    return Labels((values > 0).astype(np.uint8), affine, source)


def align(
    scan: Scan, segmentation: Labels | None, mask: Labels | None, *, skull_stripped: bool, by: Align = "auto"
) -> Alignment:
    """Aligns a subject's reference image to MNI152.

    Args:
        scan: the reference image.
        segmentation: of the subject, in FreeSurfer's numbers.
        mask: brain mask of the subject.
        skull_stripped: whether the image is 0 outside of the brain.
        by: `auto` matches the centroids of the segmentation, and registers the image to the template where there is
            none. `intensities` always registers the image, without a published mask: a new scan has neither that nor
            labels.

    Raises:
        InputError: where the alignment fails, or leaves a part of the segmented brain outside of the grid.
    """
    if segmentation is not None and by == "auto":
        by_centroids = fit_affine(label_centroids(segmentation.values, segmentation.affine), REFERENCE_CENTROIDS)
        alignment = Alignment(by_centroids.matrix, "centroids", residual_mm=by_centroids.residual_mm)
    else:
        inside = None
        if mask is not None and (by == "auto" or mask.source != "published"):
            inside = resample_to_grid(
                mask.values, mask.affine, np.eye(4), labels=True, shape=scan.volume.shape, grid_affine=scan.affine
            )
        fit = register_to_template(
            scan.volume, scan.affine, mask=None if inside is None else inside > 0, skull_stripped=skull_stripped
        )
        alignment = Alignment(fit.matrix, "intensity", mutual_information=fit.mutual_information)
    if segmentation is not None:
        check_inside_grid(segmentation.values, segmentation.affine, alignment.to_mni)
    return alignment
