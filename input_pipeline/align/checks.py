"""Checks of an aligned subject: the brain is inside the grid, and the slice shows the expected structures."""

import numpy as np

from input_pipeline.space.grid import AFFINE, SHAPE, SLICE_Y
from input_pipeline.space.tissue_classes import BRAIN_CLASSES, CLASSES, class_indices
from neuralizer_jax.errors import InputError

# Structures that the default slice must show, by FreeSurfer labels. One side of a pair is enough.
_STRUCTURES = {"brain stem": (16,), "hippocampus": (17, 53), "thalamus": (10, 49), "lateral ventricle": (4, 43)}

# Healthy adults reach about 0.9 and more. Tumours and cropped fields of view reduce it.
_MIN_MASK_DICE = 0.75

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


def check_mask_agrees(mask: np.ndarray, template: np.ndarray) -> None:
    """Raises InputError if two brain masks `[S, 192, 192]` have a low Dice: the alignment to the template failed."""
    dice = 2 * (mask & template).sum() / max(1, mask.sum() + template.sum())
    if dice < _MIN_MASK_DICE:
        raise InputError(
            f"the aligned brain mask has a Dice of {dice:.2f} with the template's, expected at least {_MIN_MASK_DICE}"
        )
