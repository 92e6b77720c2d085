"""Alignment of a subject's reference image to MNI152: by its segmentation if there is one, else by its intensities."""

from typing import NamedTuple

import numpy as np

from input_pipeline.align.centroids import fit_affine, label_centroids
from input_pipeline.align.intensities import register_to_template
from input_pipeline.align.reference import REFERENCE_CENTROIDS
from input_pipeline.space.resample import resample_to_grid

# Values `[X, Y, Z]` and affine `[4, 4]`, voxel -> world in mm (RAS).
Volume = tuple[np.ndarray, np.ndarray]


class Alignment(NamedTuple):
    """How an image was aligned; the fields are those of a record (`SubjectRecord`)."""

    to_mni: np.ndarray
    method: str
    residual_mm: float | None = None
    mutual_information: float | None = None


def align_to_mni(
    image: Volume, *, segmentation: Volume | None, brain_mask: Volume | None, skull_stripped: bool
) -> Alignment:
    """Aligns an image to MNI152.

    Args:
        image: the reference image.
        segmentation: FreeSurfer labels in the same world. Their centroids are aligned; None: the image is registered.
        brain_mask: above 0 inside, in the same world; only used to register the image.
        skull_stripped: whether the image is 0 outside of the brain.

    Raises:
        InputError: if the alignment fails.
    """
    if segmentation is not None:
        by_centroids = fit_affine(label_centroids(*segmentation), REFERENCE_CENTROIDS)
        return Alignment(by_centroids.matrix, "centroids", residual_mm=by_centroids.residual_mm)
    volume, affine = image
    inside = None
    if brain_mask is not None:
        inside = resample_to_grid(*brain_mask, np.eye(4), labels=True, shape=volume.shape, grid_affine=affine) > 0
    fit = register_to_template(volume, affine, mask=inside, skull_stripped=skull_stripped)
    return Alignment(fit.matrix, "intensity", mutual_information=fit.mutual_information)
