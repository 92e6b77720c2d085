"""Checks of an aligned subject: its labels are those expected, lie where they should, and on its brain."""

import numpy as np

from input_pipeline.align.centroids import label_centroids
from input_pipeline.align.reference import REFERENCE_CENTROIDS
from input_pipeline.space.grid import AFFINE, SHAPE, SLICE_Y
from input_pipeline.space.structure_names import FREESURFER_CLASSES
from input_pipeline.space.tissue_classes import BRAIN_CLASSES, CLASSES, class_indices
from neuralizer_jax.errors import InputError

# Structures that the default slice must show, by FreeSurfer labels. One side of a pair is enough.
_STRUCTURES = {"brain stem": (16,), "hippocampus": (17, 53), "thalamus": (10, 49), "lateral ventricle": (4, 43)}

# Healthy adults reach about 0.9 and more. Tumours and cropped fields of view reduce it.
_MIN_MASK_DICE = 0.75
# Segmentations leave out the fluid around the brain, masks do not.
_MIN_LABEL_DICE = 0.65

# White matter and cortex of both hemispheres.
_CEREBRUM = {2, 3, 41, 42}
_CSF = 24
# Distance of a structure from its usual place, after alignment by intensities; normal variation is a few mm.
_MOST_MM = 20.0

# Mutual information with the template, nats. Aligned T1 scans: 15 real ones, skull-stripped, 0.68 to 0.81; the phantom
# 1. Where alignment failed by 10 mm or the image shows no head: 0.03 (a CT angiogram) to 0.18. Contrasts other than T1
# share less with the template: the phantom with its skull 0.40 to 0.58, real scans about half of it.
_MIN_INFORMATION = {"T1": 0.2}
_MIN_INFORMATION_OTHERS = 0.1

# Without the brain stem, which segmentations often continue below the grid.
_BRAIN = [CLASSES.index(name) for name in BRAIN_CLASSES if name != "brain_stem"]


def check_inside_grid(labels: np.ndarray, affine: np.ndarray, to_mni: np.ndarray) -> None:
    """Raises InputError if a label of the brain lies outside of the grid, as in the paper.

    Args:
        labels: `[X, Y, Z]`, FreeSurfer labels.
        affine: `[4, 4]`, voxel -> world in mm.
        to_mni: `[4, 4]`, world -> MNI152 in mm.
    """
    brain = np.isin(class_indices(labels), _BRAIN)
    to_voxel = np.linalg.inv(AFFINE) @ to_mni @ affine
    places = np.argwhere(brain) @ to_voxel[:3, :3].T + to_voxel[:3, 3]
    outside = ((places < -0.5) | (places > np.array(SHAPE) - 0.5)).any(axis=1)
    if outside.any():
        raise InputError(f"{outside.sum()} labelled voxels of the brain lie outside of the MNI152 grid, expected none")


def check_slice_structures(labels: np.ndarray) -> None:
    """Raises InputError if the FreeSurfer labels of the default slice lack one of these structures."""
    present = set(np.unique(labels).tolist())
    missing = [name for name, values in _STRUCTURES.items() if not present.intersection(values)]
    if missing:
        raise InputError(f"no {' and no '.join(missing)} in the slice at y = {SLICE_Y} mm, expected all of them")


def shows_whole_brain(labels: np.ndarray) -> bool:
    """Whether FreeSurfer labels show the whole brain, or a few structures of it alone.

    >>> shows_whole_brain(np.array([0, 17, 53]))
    False
    """
    return set(np.unique(labels).tolist()) >= _CEREBRUM


def check_few_structures(labels: np.ndarray, affine: np.ndarray, to_mni: np.ndarray) -> None:
    """Raises InputError if labels that do not show the whole brain are not FreeSurfer's, or not at their usual places.

    Args:
        labels: `[X, Y, Z]`, FreeSurfer labels (`fold_freesurfer`).
        affine: `[4, 4]`, voxel -> world in mm.
        to_mni: `[4, 4]`, world -> MNI152 in mm, found without the labels.
    """
    structures = label_centroids(labels, to_mni @ affine)
    values = sorted(structures)
    if not values:
        raise InputError("shows no structure, expected FreeSurfer's numbers")
    unknown = [value for value in values if value not in FREESURFER_CLASSES and value != _CSF]
    if unknown or values[-1] <= 3:  # up to 3: tissue classes
        listed = ", ".join(map(str, values[:6])) + (", ..." if len(values) > 6 else "")
        raise InputError(f"holds the values {listed}, expected FreeSurfer's numbers")
    for value in values:
        if value in REFERENCE_CENTROIDS:
            distance = float(np.linalg.norm(structures[value][0] - REFERENCE_CENTROIDS[value][0]))
            if distance > _MOST_MM:
                name = FREESURFER_CLASSES[value]
                raise InputError(
                    f"its {name} lies {distance:.0f} mm from the usual place, expected {_MOST_MM:.0f} at most"
                )


def check_information(mutual_information: float, modality: str) -> None:
    """Raises InputError if an image aligned by intensities has too little in common with the template, in nats."""
    least = _MIN_INFORMATION.get(modality, _MIN_INFORMATION_OTHERS)
    if mutual_information < least:
        raise InputError(
            f"its mutual information with the template is {mutual_information:.2f}, expected at least {least} for"
            f" {modality}: alignment failed, or it is no such scan of a head"
        )


def check_mask_agrees(mask: np.ndarray, template: np.ndarray) -> None:
    """Raises InputError if two brain masks `[S, 192, 192]` have a low Dice: the alignment to the template failed."""
    dice = _dice(mask, template)
    if dice < _MIN_MASK_DICE:
        raise InputError(
            f"the aligned brain mask has a Dice of {dice:.2f} with the template's, expected at least {_MIN_MASK_DICE}"
        )


def check_mask_has_labels(mask: np.ndarray, labelled: np.ndarray) -> None:
    """Raises InputError if a brain mask and the labelled brain `[S, 192, 192]` have a low Dice: one is elsewhere."""
    dice = _dice(mask, labelled)
    if dice < _MIN_LABEL_DICE:
        raise InputError(
            f"the brain has a Dice of {dice:.2f} with the labelled brain, expected at least {_MIN_LABEL_DICE}:"
            " the labels do not lie on the image"
        )


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / max(1, one.sum() + other.sum()))
