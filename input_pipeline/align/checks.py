"""Whether an aligned subject is fit for use: nothing of the brain cut off, the right structures in the slice."""

import numpy as np

from input_pipeline.space.grid import AFFINE, SHAPE, SLICE_Y
from input_pipeline.space.tissue_classes import BRAIN_CLASSES, CLASSES, class_indices
from neuralizer_jax.errors import InputError

# What the slice through brain stem, hippocampus, thalamus and lateral ventricles has to show, in FreeSurfer's numbers;
# of a pair one side is enough.
_STRUCTURES = {"brain stem": (16,), "hippocampus": (17, 53), "thalamus": (10, 49), "lateral ventricle": (4, 43)}

# Brains of adults reach about 0.9 and more; a tumour or a cut field of view takes some of it.
_MIN_MASK_DICE = 0.75

# Not the brain stem: where it ends below is up to the segmentation, and often below the grid.
_BRAIN = [CLASSES.index(name) for name in BRAIN_CLASSES if name != "brain_stem"]


def check_inside_grid(labels: np.ndarray, affine: np.ndarray, to_mni: np.ndarray) -> None:
    """Raises InputError where the brain reaches out of the grid: no label may lie outside, as in the paper.

    Args:
        labels: `[X, Y, Z]` in FreeSurfer's numbers; what is not brain does not count.
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
    """Raises InputError where one of the structures the default slice is there for is not in it.

    Args:
        labels: the slice at `grid.SLICE_Y`, in FreeSurfer's numbers.
    """
    present = set(np.unique(labels).tolist())
    missing = [name for name, values in _STRUCTURES.items() if not present.intersection(values)]
    if missing:
        raise InputError(f"no {' and no '.join(missing)} in the slice at y = {SLICE_Y} mm, expected all of them")


def check_mask_agrees(mask: np.ndarray, template: np.ndarray) -> None:
    """Raises InputError where a subject's brain mask is far from the template's: the alignment failed.

    Args:
        mask: `[S, 192, 192]` bool, the subject's.
        template: the template's on the same slices.
    """
    dice = 2 * (mask & template).sum() / max(1, mask.sum() + template.sum())
    if dice < _MIN_MASK_DICE:
        raise InputError(
            f"aligned, its brain mask agrees with the template's by a Dice of {dice:.2f},"
            f" expected {_MIN_MASK_DICE} at least"
        )
