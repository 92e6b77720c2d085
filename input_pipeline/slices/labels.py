"""The label maps and the brain mask of a scanned subject on the slices."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from input_pipeline.align.checks import shows_whole_brain
from input_pipeline.raw.subject import RawLabels, RawSubject
from input_pipeline.slices.anatomy import Labels, read_published
from input_pipeline.space.grid import SHAPE, coronal_image, volume_of
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
    """Source and slices `[S, 192, 192]` uint16 of each protocol: those of the dataset, and FreeSurfer's.

    Args:
        raw: the subject.
        segmentation: of the subject. Without one, FreeSurfer labels are the template's; also for the Hammers protocol,
            whose gyri contain both cortex and white matter.
        to_mni: world of each usable image -> MNI152.
        reference: modality of the reference image, in whose world the segmentation lies, and labels on no image's grid.
        planes: indices of coronal planes of the grid.

    Raises:
        InputError: for a file that cannot be used, or that lies on the grid of an image that cannot be used.
    """
    slices = {}
    for published in raw.labels:
        if published.protocol == "freesurfer":  # this is the segmentation, unless the user has another
            continue
        if published.grid_of and published.grid_of not in to_mni:
            raise InputError(f"{published.path}: is on the grid of {published.grid_of}, which could not be used")
        values, affine = read_published(raw, published)
        matrix = to_mni[published.grid_of or reference]
        on_slices = coronal_slices(_kept(values, published), affine, matrix, labels=True, planes=planes)
        slices[published.protocol] = "published", on_slices
    if segmentation is not None and segmentation.protocol != "hammers":
        on_slices = coronal_slices(*segmentation.volume, to_mni[reference], labels=True, planes=planes)
        source = segmentation.source if shows_whole_brain(segmentation.volume[0]) else "partial"
        slices["freesurfer"] = source, on_slices
    else:
        slices["freesurfer"] = "template", template_labels(planes)
    return slices


def brain_mask_slices(
    mask: Labels | None,
    segmentation: Labels | None,
    nonzero: np.ndarray | None,
    to_mni: np.ndarray,
    planes: Sequence[int],
) -> tuple[np.ndarray, str]:
    """The brain `[S, 192, 192]` bool, and its source: the first available of those below, else the template's mask.

    1. A brain mask of the subject.
    2. Where its skull-stripped images are not 0, with holes filled.
    3. Its segmentation, except in the Hammers protocol.

    Args:
        mask: brain mask of the subject.
        segmentation: of the subject.
        nonzero: where its skull-stripped images are not 0 `[S, 192, 192]`; None for a full head.
        to_mni: world of the reference image -> MNI152.
        planes: indices of coronal planes of the grid.
    """
    if mask is not None:
        return coronal_slices(*mask.volume, to_mni, labels=True, planes=planes) > 0, mask.source
    if nonzero is not None:
        return np.stack([ndimage.binary_fill_holes(plane) for plane in nonzero]), "nonzero"
    if (labelled := labelled_brain(segmentation, to_mni, planes)) is not None:
        return labelled, "segmentation"
    return template_brain_mask(planes), "template"


def labelled_brain(segmentation: Labels | None, to_mni: np.ndarray, planes: Sequence[int]) -> np.ndarray | None:
    """The brain of a segmentation `[S, 192, 192]` bool; None without one, or in the Hammers protocol."""
    if segmentation is None or segmentation.protocol == "hammers":
        return None
    labels = coronal_slices(*segmentation.volume, to_mni, labels=True, planes=planes)
    if list(planes) == list(range(SHAPE[1])):  # of a volume, smooth along y too
        volume = brain_mask(volume_of(labels))
        return np.stack([coronal_image(volume, plane) for plane in planes])
    return np.stack([brain_mask(plane) for plane in labels])


def _kept(values: np.ndarray, published: RawLabels) -> np.ndarray:
    """The labels that count; 1 for any of them in a lesion map."""
    inside = values > 0 if published.keep is None else np.isin(values, published.keep)
    return (inside if published.protocol == "lesion" else np.where(inside, values, 0)).astype(np.uint16)
