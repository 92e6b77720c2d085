"""Labels and brain mask of the MNI152 template, for subjects that have none of their own.

They fit a subject only as well as affine alignment does. Records name their source `template`.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np

from input_pipeline.space.grid import coronal_image
from input_pipeline.space.protocols import fold_freesurfer
from input_pipeline.space.resample import coronal_slices
from input_pipeline.synthesis.phantom import phantom_label_map


def template_labels(planes: Sequence[int]) -> np.ndarray:
    """FreeSurfer labels of the template's brain `[S, 192, 192]` on planes of the grid."""
    labels = phantom_label_map()
    slices = np.stack([coronal_image(labels, plane) for plane in planes])
    return np.where(slices < 500, fold_freesurfer(slices), np.uint16(0))


def template_brain_mask(planes: Sequence[int]) -> np.ndarray:
    """The template's brain mask, bool `[S, 192, 192]`, on planes of the grid."""
    return coronal_slices(*_brain_mask(), np.eye(4), labels=True, planes=planes) > 0


@cache
def _brain_mask() -> tuple[np.ndarray, np.ndarray]:
    from nilearn.datasets import load_mni152_brain_mask

    image = load_mni152_brain_mask(resolution=1)
    return np.asarray(image.dataobj).astype(np.uint8), image.affine
