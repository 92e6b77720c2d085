"""Displacement fields on a coarse grid of MNI152: applied to places, and inverted."""

import numpy as np
from scipy import ndimage

from input_pipeline.space.grid import ORIGIN, SHAPE

# Displacements are known on every so many mm: they are smooth over 6 mm.
STEP_MM = 4
FIELD_SHAPE = (3, *(length // STEP_MM for length in SHAPE))

# Voxel of a field -> MNI152 in mm. A voxel stands for a block of voxels of 1 mm, at its centre.
FIELD_AFFINE = np.diag([STEP_MM, STEP_MM, STEP_MM, 1.0])
FIELD_AFFINE[:3, 3] = np.array(ORIGIN) + (STEP_MM - 1) / 2

_FIRST = FIELD_AFFINE[:3, 3:].astype(np.float32)

# The inverse is found by so many steps of a fixed-point iteration.
_STEPS = 20


def moved(places: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Displaces places of MNI152; beyond the grid as at its rim.

    Args:
        places: `[3, n]` mm.
        field: `[3, 48, 56, 48]` mm.

    Example:
        >>> moved(np.array([[10.0], [0.0], [20.0]]), np.full(FIELD_SHAPE, 2.0)).ravel().tolist()
        [12.0, 2.0, 22.0]
    """
    return places + np.stack([at_places(axis, places) for axis in field])


def inverse(field: np.ndarray) -> np.ndarray:
    """The field that undoes another one that does not fold, float32 `[3, 48, 56, 48]` mm.

    Example:
        >>> inverse(np.full(FIELD_SHAPE, 2.0))[:, 9, 9, 9].round(4).tolist()
        [-2.0, -2.0, -2.0]
    """
    places = np.indices(FIELD_SHAPE[1:], np.float32).reshape(3, -1) * STEP_MM + _FIRST
    back = np.zeros_like(places)
    for _ in range(_STEPS):
        back -= moved(places + back, field) - places
    return back.reshape(FIELD_SHAPE)


def growth(field: np.ndarray) -> np.ndarray:
    """What becomes of a volume of 1, float32 `[48, 56, 48]`: the determinant of the Jacobian.

    Example:
        >>> wider = np.zeros(FIELD_SHAPE)
        >>> wider[0] = 0.1 * STEP_MM * np.arange(48)[:, None, None]
        >>> round(float(growth(wider)[9, 9, 9]), 4)
        1.1
    """
    gradient = np.stack([np.stack(np.gradient(axis.astype(np.float32), STEP_MM)) for axis in field])
    return np.linalg.det(np.moveaxis(gradient, (0, 1), (-2, -1)) + np.eye(3, dtype=np.float32))


def at_places(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values `[48, 56, 48]` at places of MNI152, `[3, n]` mm, linearly; beyond the grid those at its rim."""
    voxels = (places - _FIRST) / np.float32(STEP_MM)
    return ndimage.map_coordinates(
        values.astype(np.float32, copy=False), voxels, order=1, mode="nearest", prefilter=False
    )
