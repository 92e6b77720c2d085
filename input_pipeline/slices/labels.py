"""A scanned subject's label maps and brain mask on the slices: its own, or the template's."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from input_pipeline.raw.subject import RawLabels, RawSubject
from input_pipeline.slices.anatomy import Labels, read_published
from input_pipeline.space.resample import coronal_slices
from input_pipeline.synthesis.images import brain_mask
from input_pipeline.synthesis.template import template_brain_mask, template_labels
from neuralizer_jax.errors import InputError


def label_slices(
    raw: RawSubject,
    segmentation: Labels | None,
    to_mni: Mapping[str, np.ndarray],
    reference: str,
    planes: Sequence[int],
) -> dict[str, tuple[str, np.ndarray]]:
    """Source and slices `[S, 192, 192]` uint16 of each protocol: the dataset's own, and FreeSurfer's.

    Args:
        raw: the subject.
        segmentation: its segmentation, if it has one; otherwise FreeSurfer's labels are the template's. So they are
            for Hammers' protocol, whose gyri hold cortex and white matter.
        to_mni: of the images that are in use, world -> MNI152.
        reference: the modality in whose world the segmentation lies, and labels that are on no image's grid.
        planes: of the grid.

    Raises:
        InputError: for a file that cannot be used, or is on the grid of an image that cannot.
    """
    slices = {}
    for published in raw.labels:
        if published.protocol == "freesurfer":  # is the segmentation, unless the user has another
            continue
        if published.grid_of and published.grid_of not in to_mni:
            raise InputError(f"{published.path}: is on the grid of {published.grid_of}, which could not be used")
        values, affine = read_published(raw, published)
        matrix = to_mni[published.grid_of or reference]
        on_slices = coronal_slices(_kept(values, published), affine, matrix, labels=True, planes=planes)
        slices[published.protocol] = "published", on_slices
    if segmentation is not None and segmentation.protocol != "hammers":
        slices["freesurfer"] = segmentation.source, _sliced(segmentation, to_mni[reference], planes)
    else:
        slices["freesurfer"] = "template", template_labels(planes)
    return slices


def mask_slices(
    mask: Labels | None,
    segmentation: Labels | None,
    nonzero: np.ndarray | None,
    to_mni: np.ndarray,
    planes: Sequence[int],
) -> tuple[np.ndarray, str]:
    """The brain `[S, 192, 192]` bool, and where it is from.

    Args:
        mask: a brain mask of the subject, the first choice.
        segmentation: of the subject, the third choice.
        nonzero: where skull-stripped images are not 0 `[S, 192, 192]`, the second choice; None for a full head.
        to_mni: world of the reference image -> MNI152.
        planes: of the grid.
    """
    if mask is not None:
        return _sliced(mask, to_mni, planes) > 0, mask.source
    if nonzero is not None:
        return np.stack([ndimage.binary_fill_holes(plane) for plane in nonzero]), "nonzero"
    if segmentation is not None and segmentation.protocol != "hammers":
        return np.stack([brain_mask(plane) for plane in _sliced(segmentation, to_mni, planes)]), "segmentation"
    return template_brain_mask(planes), "template"


def _sliced(labels: Labels, to_mni: np.ndarray, planes: Sequence[int]) -> np.ndarray:
    return coronal_slices(labels.values, labels.affine, to_mni, labels=True, planes=planes)


def _kept(values: np.ndarray, published: RawLabels) -> np.ndarray:
    """The label values that count; of a lesion map 1 for any of them."""
    inside = values > 0 if published.keep is None else np.isin(values, published.keep)
    return (inside if published.protocol == "lesion" else np.where(inside, values, 0)).astype(np.uint16)
