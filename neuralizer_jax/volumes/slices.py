"""Slices of crops in three planes, shown as the network was trained on them."""

import numpy as np

# Plane -> the axis of MNI152 that is fixed.
PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}


def slices_of(crop: np.ndarray, plane: str) -> np.ndarray:
    """All slices `[..., slices, H, W]` of a crop `[..., X, Y, Z]`; a view.

    Rows run from superior to inferior (axial: from anterior to posterior), columns from left to right (sagittal: from
    posterior to anterior).

    Example:
        >>> slices_of(np.zeros((2, 3, 4)), "sagittal").shape, slices_of(np.zeros((2, 3, 4)), "axial").shape
        ((2, 4, 3), (4, 3, 2))
    """
    moved = np.moveaxis(crop, PLANES[plane] - 3, -3)
    return np.swapaxes(moved, -1, -2)[..., ::-1, :]
