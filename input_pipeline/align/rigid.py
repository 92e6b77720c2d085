"""Rigid registration of two scans of one subject, usually of different modalities.

The metric is Mattes mutual information (https://doi.org/10.1109/TMI.2003.809072) where the fields of view overlap. The
result is deterministic: one thread, all voxels of coarse grids, no random samples.
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from input_pipeline.align.registration import Fit, Grid, descend, matrix_of, mutual_information, one_thread, pyramid
from neuralizer_jax.errors import InputError

_TURNS = ((0, 0, 0), *((axis * angle).tolist() for axis in np.eye(3) for angle in (-10, 10)))  # degrees
_LIFTS_MM = (-40, -20, 0, 20, 40)  # shifts along z from the centre of the head to the centre of a slab
_EDGE_MM = 8  # around head or brain, because the outline is informative too
_MIN_OVERLAP_ML = 200
_MAX_TURN, _MAX_MOVE_MM = 45, 100
_RADIUS_MM = 70  # of a head: balances rotation (radians) and translation (mm) in the optimiser


def register_rigid(
    moving: np.ndarray, moving_affine: np.ndarray, fixed: np.ndarray, fixed_affine: np.ndarray, *, skull_stripped: bool
) -> Fit:
    """Registers one scan to another of the same subject.

    Two starts are optimised at 8 mm: the position in the headers (also rotated by 10 degrees), and matched centres of
    mass (also shifted along z, for slabs). The one with more mutual information is refined at 4 and 2 mm. Heads rotated
    by more than about 40 degrees are not found, and not always refused; their mutual information is low.

    Args:
        moving: `[X, Y, Z]`, one image.
        moving_affine: `[4, 4]`, voxel of `moving` -> world in mm (RAS).
        fixed: `[X, Y, Z]`, one image.
        fixed_affine: `[4, 4]`, voxel of `fixed` -> world in mm (RAS).
        skull_stripped: whether both are 0 outside of the brain.

    Raises:
        InputError: for an image without contrast, if the fields of view share less than 200 ml of the head or brain, or
            if the result rotates the scan by more than 45 degrees or moves it by more than 100 mm from its start.
    """
    moving_levels = _levels(moving, moving_affine, "moving")
    fixed_levels = _levels(fixed, fixed_affine, "fixed")
    by_centre = _centre(moving_levels[0].scan, skull_stripped) - _centre(fixed_levels[0].scan, skull_stripped)
    fixed_levels = tuple(_near_head(level, skull_stripped) for level in fixed_levels)
    with one_thread():
        start, transform = _best_start(fixed_levels[0], moving_levels[0], by_centre)
        _optimise(fixed_levels[1], moving_levels[1], transform, 1.0, 0.02)
        _check(start, transform, fixed_levels[1], moving_levels[1])
        information = _optimise(fixed_levels[2], moving_levels[2], transform, 0.25, 0.05)
    _check(start, transform, fixed_levels[1], moving_levels[1])
    return Fit(np.linalg.inv(matrix_of(transform)), information)


@dataclass(frozen=True)
class _Level:
    """A scan on a coarse grid, and the mask of the voxels that the metric uses (uint8)."""

    scan: Grid
    mask: Grid


def _levels(volume: np.ndarray, affine: np.ndarray, name: str) -> tuple[_Level, ...]:
    """The scan at 8, 4 and 2 mm, masked by its field of view."""
    scans = pyramid(volume, affine, margin=0, name=f"{name} volume")
    return tuple(_Level(scan, scan.like(_field_of_view(scan, volume.shape, affine))) for scan in scans)


def _near_head(level: _Level, skull_stripped: bool) -> _Level:
    """The same, masked by the head or brain and the edge around it."""
    distance = ndimage.distance_transform_edt(~level.scan.head(skull_stripped), sampling=level.scan.spacing)
    return _Level(level.scan, level.scan.like((distance < _EDGE_MM) & (level.mask.values > 0)))


def _centre(scan: Grid, skull_stripped: bool) -> np.ndarray:
    return scan.points(scan.head(skull_stripped)).mean(0)


def _field_of_view(grid: Grid, shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    """Which voxels of a grid lie at least a voxel inside a volume: further out, values are extrapolated."""
    to_voxel = np.linalg.inv(affine) @ grid.affine()
    lengths: tuple[int, ...] = grid.values.shape
    inside = np.ones(lengths, bool)
    x, y, z = np.ogrid[tuple(slice(length) for length in lengths)]
    for row, size in zip(to_voxel[:3], shape, strict=True):
        index = row[0] * x + row[1] * y + row[2] * z + row[3]
        inside &= (index > -0.01) & (index < size - 0.99)
    return ndimage.binary_erosion(inside, np.ones((3, 3, 3)), border_value=1)


def _best_start(
    fixed: _Level, moving: _Level, by_centre: np.ndarray
) -> tuple[sitk.Euler3DTransform, sitk.Euler3DTransform]:
    """The better start and its optimised transform, both world of the fixed scan -> world of the moving scan.

    They are compared by mutual information times overlap: over few voxels, mutual information is overestimated.
    """
    by_header = [(turn, np.zeros(3)) for turn in _TURNS]
    by_mass = [((0, 0, 0), by_centre + np.array((0, 0, lift))) for lift in _LIFTS_MM]
    points = fixed.scan.points(fixed.mask.values)
    found = []
    for starts in (by_header, by_mass) if len(points) else ():
        transforms = [
            sitk.Euler3DTransform(points.mean(0).tolist(), *np.deg2rad(turn).tolist(), shift.tolist())
            for turn, shift in starts
        ]
        transforms = [x for x in transforms if _overlap_ml(fixed, moving, x) >= _MIN_OVERLAP_ML]
        if transforms:
            start = max(transforms, key=lambda x: _information(fixed, moving, x) * _overlap_ml(fixed, moving, x))
            end = sitk.Euler3DTransform(start)
            information = _optimise(fixed, moving, end, 4.0, 0.1)
            found.append((information * _overlap_ml(fixed, moving, end), start, end))
    if not found:
        raise InputError(f"the fields of view share less than {_MIN_OVERLAP_ML} ml, expected scans of the same head")
    return max(found, key=lambda x: x[0])[1:]


def _overlap_ml(fixed: _Level, moving: _Level, transform: sitk.Euler3DTransform) -> float:
    """Overlap of the fixed and the moving mask in ml."""
    matrix = np.linalg.inv(moving.scan.affine()) @ matrix_of(transform) @ fixed.scan.affine()
    index = np.rint(np.argwhere(fixed.mask.values) @ matrix[:3, :3].T + matrix[:3, 3]).astype(int)
    index = index[((index >= 0) & (index < moving.mask.values.shape)).all(1)]
    return np.count_nonzero(moving.mask.values[tuple(index.T)]) * fixed.scan.spacing**3 / 1000


def _information(fixed: _Level, moving: _Level, transform: sitk.Euler3DTransform) -> float:
    return -_method(fixed, moving, transform).MetricEvaluate(fixed.scan.image(), moving.scan.image())


def _optimise(fixed: _Level, moving: _Level, transform: sitk.Euler3DTransform, step: float, last_step: float) -> float:
    """Optimises `transform` (world of fixed -> world of moving scan) in place; returns the mutual information."""
    method = _method(fixed, moving, transform)
    method.SetOptimizerScales([_RADIUS_MM**2] * 3 + [1.0] * 3)
    return descend(method, fixed.scan, moving.scan, step=step, last_step=last_step)


def _method(fixed: _Level, moving: _Level, transform: sitk.Euler3DTransform) -> sitk.ImageRegistrationMethod:
    method = mutual_information(transform, fixed.mask, moving.mask)
    method.SetMetricUseMovingImageGradientFilter(False)
    return method


def _check(start: sitk.Euler3DTransform, end: sitk.Euler3DTransform, fixed: _Level, moving: _Level) -> None:
    """Raises InputError if the result is implausible for two scans of one subject."""
    overlap = _overlap_ml(fixed, moving, end)
    if overlap < _MIN_OVERLAP_ML:
        raise InputError(f"the aligned scans share {overlap:.0f} ml, expected at least {_MIN_OVERLAP_ML}")
    turn = np.rad2deg(np.arccos(np.clip((np.trace(matrix_of(end)[:3, :3]) - 1) / 2, -1, 1)))
    centre = start.GetCenter()
    move = np.linalg.norm(np.subtract(end.TransformPoint(centre), start.TransformPoint(centre)))
    if turn > _MAX_TURN or move > _MAX_MOVE_MM:
        raise InputError(
            f"the scans fit best when turned by {turn:.0f} degrees and moved by {move:.0f} mm,"
            f" expected at most {_MAX_TURN} degrees and {_MAX_MOVE_MM} mm"
        )
