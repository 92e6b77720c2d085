"""Resampling of volumes to a grid by one interpolation: the whole volume, or only the planes needed."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from input_pipeline.space.grid import AFFINE, SHAPE, coronal_image
from neuralizer_jax.errors import InputError


def resample_to_grid(
    volume: np.ndarray,
    affine: np.ndarray,
    to_mni: np.ndarray,
    *,
    labels: bool,
    planes: Sequence[int] | None = None,
    shape: tuple[int, int, int] = SHAPE,
    grid_affine: np.ndarray = AFFINE,
) -> np.ndarray:
    """Resamples a volume to the grid: images linearly in float32, labels to the nearest voxel in their own type.

    Args:
        volume: `[X, Y, Z]`. It is not copied.
        affine: `[4, 4]`, voxel of `volume` -> its world in mm.
        to_mni: `[4, 4]`, world of `volume` in mm -> world of the grid in mm.
        labels: whether the values are labels.
        planes: indices of coronal planes (second axis of the grid); None: all.
        shape: of the grid.
        grid_affine: `[4, 4]`, voxel of the grid -> its world in mm.

    Returns:
        `[shape[0], len(planes), shape[2]]`, 0 outside of the volume.

    Raises:
        InputError: if `volume` does not have three axes.
    """
    volume = np.asarray(volume)
    if volume.ndim != 3:
        raise InputError(f"volume of shape {volume.shape}, expected three axes")
    planes = range(shape[1]) if planes is None else planes
    to_voxel = np.linalg.inv(np.asarray(to_mni, np.float64) @ affine) @ grid_affine
    result = np.empty((shape[0], len(planes), shape[2]), volume.dtype if labels else np.float32)
    for column, plane in enumerate(planes):
        offset = to_voxel[:3, 3] + plane * to_voxel[:3, 1]
        ndimage.affine_transform(
            volume, to_voxel[:3, :3], offset, output=result[:, column : column + 1],
            output_shape=(shape[0], 1, shape[2]), order=0 if labels else 1, mode="grid-constant", prefilter=False,
        )  # fmt: skip
    return result


def coronal_slices(
    volume: np.ndarray, affine: np.ndarray, to_mni: np.ndarray, *, labels: bool, planes: Sequence[int]
) -> np.ndarray:
    """Coronal planes of `resample_to_grid` as images `[len(planes), 192, 192]`."""
    on_grid = resample_to_grid(volume, affine, to_mni, labels=labels, planes=planes)
    return np.stack([coronal_image(on_grid, index) for index in range(len(planes))])
