"""The grid of all volumes (MNI152 space, RAS, 192 x 224 x 192 voxels of 1 mm) and the coronal slices cut from it."""

import numpy as np

SHAPE = (192, 224, 192)

# World coordinates of voxel 0 in mm: the grid holds the whole of FSL's MNI152 template and is centred on it.
ORIGIN = (-96, -129, -77)

# Voxel -> world in mm.
AFFINE = np.array([[1, 0, 0, ORIGIN[0]], [0, 1, 0, ORIGIN[1]], [0, 0, 1, ORIGIN[2]], [0, 0, 0, 1]], np.float64)

# A field of view that is shorter along an axis shows a slab of a head, mm.
WHOLE_HEAD_MM = 130

# A coronal slice as an image: rows from superior to inferior, columns from left to right.
SLICE_SHAPE = (SHAPE[2], SHAPE[0])

# The default slice, y in mm: through the anterior brain stem, hippocampus, thalamus and lateral ventricles.
SLICE_Y = -17

# The y of all coronal planes, mm.
ALL_Y = tuple(range(ORIGIN[1], ORIGIN[1] + SHAPE[1]))


def coronal_index(y: int) -> int:
    """Voxel index of the coronal plane at y mm. Raises ValueError outside of the grid.

    >>> coronal_index(-17)
    112
    """
    index = round(y - ORIGIN[1])
    if not 0 <= index < SHAPE[1]:
        raise ValueError(f"slice y = {y} mm is outside of the grid, expected {ORIGIN[1]} to {ORIGIN[1] + SHAPE[1] - 1}")
    return index


def coronal_image(volume: np.ndarray, index: int) -> np.ndarray:
    """One coronal plane of a volume on the grid, as an image with superior at the top and left (-x) on the left.

    >>> coronal_image(np.zeros(SHAPE), coronal_index(SLICE_Y)).shape == SLICE_SHAPE
    True
    """
    return volume[:, index, ::-1].T


def volume_of(images: np.ndarray) -> np.ndarray:
    """The volume `[..., x, y, z]` of all its coronal planes as images `[..., y, 192, 192]` (`coronal_image`); a view.

    >>> volume_of(np.zeros((SHAPE[1], *SLICE_SHAPE))).shape == SHAPE
    True
    """
    return np.moveaxis(images[..., ::-1, :], -1, -3)
