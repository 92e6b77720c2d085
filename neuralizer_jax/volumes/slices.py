"""Slices of crops in three planes, shown as the network was trained on them, and volumes made of slices again."""

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


def volume_of(slices: np.ndarray, plane: str) -> np.ndarray:
    """The crop `[..., X, Y, Z]` of all its slices `[..., slices, H, W]`; a view.

    Example:
        >>> crop = np.arange(24).reshape(2, 3, 4)
        >>> all((volume_of(slices_of(crop, plane), plane) == crop).all() for plane in PLANES)
        True
    """
    moved = np.swapaxes(slices[..., ::-1, :], -1, -2)
    return np.moveaxis(moved, -3, PLANES[plane] - 3)
