"""Registration with SimpleITK: grids from coarse to fine, mutual information, gradient descent, on a single thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from input_pipeline.space.resample import resample_to_grid
from neuralizer_jax.errors import InputError

_BINS = 32  # of the joint histogram
_BRAIN_HEIGHT_MM = 150  # from the crown of the head to below the brain


class Fit(NamedTuple):
    """A map found by registration.

    Attributes:
        matrix: `[4, 4]` float64, world of the moving image (mm, RAS) -> world of the fixed image or MNI152 (mm, RAS).
        mutual_information: mutual information of the aligned images in the head or brain, nats; larger is better.
            Comparable between subjects with the same modalities.
    """

    matrix: np.ndarray
    mutual_information: float


@dataclass(frozen=True)
class Grid:
    """A volume on an axis-aligned isotropic grid: values, voxel size in mm, world coordinates of voxel 0 in mm."""

    values: np.ndarray
    spacing: float
    origin: np.ndarray

    def affine(self) -> np.ndarray:
        """Voxel -> world in mm, `[4, 4]`."""
        matrix = np.diag([self.spacing] * 3 + [1.0])
        matrix[:3, 3] = self.origin
        return matrix

    def image(self) -> sitk.Image:
        """As a SimpleITK image, in RAS coordinates."""
        image = sitk.GetImageFromArray(self.values.transpose())
        image.SetSpacing([float(self.spacing)] * 3)
        image.SetOrigin(self.origin.tolist())
        return image

    def like(self, mask: np.ndarray) -> "Grid":
        """A mask on the same grid, uint8."""
        return Grid(mask.astype(np.uint8), self.spacing, self.origin)

    def points(self, mask: np.ndarray) -> np.ndarray:
        """World coordinates `[n, 3]` in mm of the voxels of a mask."""
        return np.argwhere(mask) * self.spacing + self.origin

    def head(self, skull_stripped: bool) -> np.ndarray:
        """The foreground: the brain if skull-stripped, else the head from its crown to below the brain."""
        head = self.values > 0.15 * np.percentile(self.values[self.values > 0], 98)
        if not skull_stripped:
            height = self.points(head)[:, 2]
            head[head] = height > np.percentile(height, 99.5) - _BRAIN_HEIGHT_MM
        return head


def pyramid(volume: np.ndarray, affine: np.ndarray, margin: float, name: str = "volume") -> tuple[Grid, ...]:
    """Resamples a volume to 8, 4 and 2 mm. Each level is smoothed from the next finer one.

    Args:
        volume: `[X, Y, Z]`, one image.
        affine: `[4, 4]`, voxel -> world in mm (RAS).
        margin: width of the zeros added on all sides, mm.
        name: what errors call the volume.

    Raises:
        InputError: for an image without three axes or without contrast.
    """
    volume, affine = np.nan_to_num(np.asarray(volume, np.float32)), np.asarray(affine, np.float64)
    if volume.ndim != 3:
        raise InputError(f"{name} of shape {volume.shape}, expected three axes")
    constant = volume.min() == volume.max()
    levels: list[Grid] = []
    for spacing in (2, 4, 8):
        levels.append(_coarsen(volume, affine, spacing, margin))
        volume, affine, margin = levels[-1].values, levels[-1].affine(), 0
    if constant or levels[-1].values.max() <= 0:
        raise InputError(f"{name} without contrast or positive values, expected an image of a head")
    return tuple(reversed(levels))


@contextmanager
def one_thread() -> Iterator[None]:
    """Runs SimpleITK on one thread, for sums in a fixed order. It has no such setting for a single registration."""
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def mutual_information(
    transform: sitk.Transform, fixed_mask: Grid, moving_mask: Grid | None = None
) -> sitk.ImageRegistrationMethod:
    """A registration of `transform` (world of the fixed -> world of the moving image) by Mattes mutual information."""
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetInitialTransform(transform, inPlace=True)
    method.SetMetricFixedMask(fixed_mask.image())
    if moving_mask is not None:
        method.SetMetricMovingMask(moving_mask.image())
    return method


def descend(method: sitk.ImageRegistrationMethod, fixed: Grid, moving: Grid, *, step: float, last_step: float) -> float:
    """Optimises the transform of a registration in place; returns the mutual information in nats."""
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=step, minStep=last_step, numberOfIterations=100, relaxationFactor=0.6
    )
    method.Execute(fixed.image(), moving.image())
    return -method.GetMetricValue()


def matrix_of(transform: sitk.AffineTransform | sitk.Euler3DTransform) -> np.ndarray:
    """The matrix `[4, 4]` of a linear transform."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(transform.GetMatrix(), (3, 3))
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    return matrix


def _coarsen(volume: np.ndarray, affine: np.ndarray, spacing: float, margin: float) -> Grid:
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    sigmas = 0.5 * np.sqrt(np.maximum(spacing**2 - sizes**2, 0)) / sizes
    smooth = ndimage.gaussian_filter(volume, sigmas, mode="nearest", truncate=3)
    corners = np.array(list(product(*((0, n - 1) for n in volume.shape)))) @ affine[:3, :3].T + affine[:3, 3]
    origin = corners.min(0) - margin
    shape = np.ceil((corners.max(0) + margin - origin) / spacing).astype(int) + 1
    grid = Grid(np.empty(0), spacing, origin)
    values = resample_to_grid(
        smooth, affine, np.eye(4), labels=False, shape=tuple(shape.tolist()), grid_affine=grid.affine()
    )
    return Grid(values, spacing, origin)
