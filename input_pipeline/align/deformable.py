"""Deformable registration of two images that are aligned affinely: diffeomorphic demons of SimpleITK."""

import numpy as np
import SimpleITK as sitk

from input_pipeline.align.registration import one_thread

# Of each level, coarse to fine: voxels that are averaged along each axis, and iterations.
_LEVELS = ((4, 60), (2, 40), (1, 20))
# The intensities of the moving image have so many steps, each of which gets the fixed image's mean where it occurs.
_STEPS = 32
# Standard deviation of the Gaussian that smooths the displacements after each iteration, voxels.
_SMOOTHING = 1.5


def displacements(fixed: np.ndarray, moving: np.ndarray, spacing: float) -> np.ndarray:
    """Where each voxel of an image lies in another one of any contrast.

    Diffeomorphic demons (Vercauteren et al. 2009, https://doi.org/10.1016/j.neuroimage.2008.10.040) on three levels. On
    each of them the moving image gets the contrast of the fixed one, from where it lies so far (Guimond et al. 2001,
    https://doi.org/10.1109/42.906425). Deterministic.

    Args:
        fixed: `[X, Y, Z]`, lengths are multiples of 4, 0 where nothing is known.
        moving: `[X, Y, Z]`, on the same isotropic grid, 0 where nothing is known.
        spacing: of the grid, mm.

    Returns:
        float32 `[X, Y, Z, 3]` in mm along the axes: place in `moving` minus place in `fixed`.

    Example:
        >>> x, y, z = np.indices((24, 24, 24))
        >>> blob = np.exp(-((x - 12) ** 2 + (y - 12) ** 2 + (z - 12) ** 2) / 30).astype(np.float32)
        >>> found = displacements(blob, np.roll(blob, 1, axis=0), 2.0)[8:16, 8:16, 8:16].mean(axis=(0, 1, 2))
        >>> bool(abs(found - [2, 0, 0]).max() < 0.3)
        True
    """
    with one_thread():
        field: sitk.Image | None = None
        for factor, iterations in _LEVELS:
            target, image = (_image(averaged(values, factor), spacing, factor) for values in (fixed, moving))
            before = [] if field is None else [_on_grid(field, target)]
            demons = sitk.DiffeomorphicDemonsRegistrationFilter()
            demons.SetNumberOfIterations(iterations)
            demons.SetSmoothDisplacementField(True)
            demons.SetStandardDeviations(_SMOOTHING)
            field = demons.Execute(target, _with_contrast(image, target, *before), *before)
        assert field is not None  # there are levels
        return sitk.GetArrayFromImage(field).transpose(2, 1, 0, 3).astype(np.float32)


def _with_contrast(image: sitk.Image, target: sitk.Image, field: sitk.Image | None = None) -> sitk.Image:
    """An image with the contrast of a target: each of its intensities becomes the target's mean where it lies."""
    there = image
    if field is not None:  # on the grid of the target
        there = sitk.Warp(image, field, sitk.sitkLinear, field.GetSize(), field.GetOrigin(), field.GetSpacing())
    wanted, found, values = (sitk.GetArrayFromImage(x) for x in (target, there, image))
    known = (wanted > 0) & (found > 0)
    if not known.any():
        return image
    wanted, found = wanted[known], found[known]
    edges = np.unique(np.quantile(found, np.linspace(0, 1, _STEPS + 1)))
    step = np.searchsorted(edges[1:-1], found, side="right")
    count, total, place = (np.bincount(step, weights, len(edges)) for weights in (None, wanted, found))
    filled = count > 0
    means, places = total[filled] / count[filled], place[filled] / count[filled]
    result = sitk.GetImageFromArray(np.where(values > 0, np.interp(values, places, means), 0).astype(np.float32))
    result.CopyInformation(image)
    return result


def averaged(values: np.ndarray, factor: int) -> np.ndarray:
    """The means of blocks of `factor` voxels along each axis, which divides the lengths, float32.

    Example:
        >>> averaged(np.arange(8).reshape(2, 2, 2), 2).tolist()
        [[[3.5]]]
    """
    x, y, z = (length // factor for length in values.shape)
    return values.reshape(x, factor, y, factor, z, factor).mean(axis=(1, 3, 5), dtype=np.float32)


def _image(values: np.ndarray, spacing: float, factor: int) -> sitk.Image:
    """With the axes of the array, so that displacements are along them."""
    image = sitk.GetImageFromArray(values.transpose())
    image.SetSpacing([spacing * factor] * 3)
    image.SetOrigin([spacing * (factor - 1) / 2] * 3)
    return image


def _on_grid(field: sitk.Image, image: sitk.Image) -> sitk.Image:
    """A coarser field on the grid of an image; beyond its outermost voxels it stays the same."""
    resampling = sitk.ResampleImageFilter()
    resampling.SetReferenceImage(image)
    resampling.SetInterpolator(sitk.sitkLinear)
    resampling.UseNearestNeighborExtrapolatorOn()
    return resampling.Execute(field)
