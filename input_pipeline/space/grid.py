"""The grid of all volumes: MNI152 space (RAS), 192 x 224 x 192 voxels of 1 mm, and the coronal slice cut from it."""

import numpy as np

SHAPE = (192, 224, 192)

# Voxel 0 stands at these coordinates in mm: the crop centred on FSL's MNI152 template.
ORIGIN = (-96, -129, -77)

# The coronal slice through the frontal brain stem, hippocampus, thalamus and lateral ventricles (index 112).
SLICE_Y = -17

AFFINE = np.array([[1, 0, 0, ORIGIN[0]], [0, 1, 0, ORIGIN[1]], [0, 0, 1, ORIGIN[2]], [0, 0, 0, 1]], np.float64)


def coronal_index(y: int) -> int:
    """Voxel index of the plane at y mm. Raises ValueError outside of the grid."""
    index = round(y - ORIGIN[1])
    if not 0 <= index < SHAPE[1]:
        raise ValueError(f"slice y = {y} mm is outside of the grid, expected {ORIGIN[1]} to {ORIGIN[1] + SHAPE[1] - 1}")
    return index


def coronal_image(volume: np.ndarray, index: int) -> np.ndarray:
    """Plane `[192, 192]` of a volume on the grid, superior at the top, left hemisphere (-x) on the left."""
    return volume[:, index, ::-1].T
