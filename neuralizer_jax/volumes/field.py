"""The field of view of a target as slices are predicted in it: a grid along its own axes, and volumes brought to it.

On its own axes the target is interpolated as little as possible: not at all, if its voxels are about as large as those
of the grid. Examples are brought there by way of MNI152.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from input_pipeline.space import grid
from input_pipeline.space.resample import resample_to_grid
from neuralizer_jax.errors import InputError
from neuralizer_jax.volumes.aligned import AlignedScan

# The grid has the target's own step along an axis if that differs from the wanted one by at most this factor.
_OWN_STEP = 1.3

# Lengths of the grid are multiples of this, so that few programs are compiled.
_MULTIPLE = 16


# The head is where a scaled scan is brighter than this, but for so many percent; and around it a margin.
_BRIGHT = 0.25
_FEW = 0.05
_MARGIN_MM = 12.0


@dataclass(frozen=True, eq=False)
class Field:
    """A grid along the axes of a scan, around the part of the head that lies in MNI152's grid.

    Attributes:
        shape: number of voxels along each axis, multiples of 16. It may reach beyond the scan.
        to_scan: `[4, 4]`, voxel of the grid -> voxel of the scan (axes in RAS order): steps and an offset.
        to_mni: `[4, 4]`, voxel of the grid -> MNI152 in mm.
        steps: mm between voxels along each axis.
    """

    shape: tuple[int, int, int]
    to_scan: np.ndarray
    to_mni: np.ndarray
    steps: np.ndarray

    def bring(self, volume: np.ndarray, to_mni: np.ndarray) -> np.ndarray:
        """Interpolates a volume `[X, Y, Z]`, voxel -> MNI152 by `to_mni`, to the grid: float32, 0 outside of it.

        A finer volume is smoothed before, so that the grid shows its mean and not its noise.
        """
        relative = np.linalg.inv(self.to_mni) @ to_mni
        sizes = np.linalg.norm(relative[:3, :3] * self.steps[:, None], axis=0)
        step = float(self.steps.max())
        volume = np.asarray(volume, np.float32)
        if (sizes < step / _OWN_STEP).any():
            sigmas = 0.5 * np.sqrt(np.maximum(step**2 - sizes**2, 0)) / sizes
            volume = ndimage.gaussian_filter(volume, sigmas, mode="nearest", truncate=3)
        return resample_to_grid(volume, np.eye(4), to_mni, labels=False, shape=self.shape, grid_affine=self.to_mni)

    def take_back(self, values: np.ndarray, shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Values on the grid at the voxels of the scan, of this shape: float32, and which of them lie in the grid."""
        back = np.linalg.inv(self.to_scan)
        there = np.zeros(tuple(shape), bool)
        inside = []
        for axis, length in enumerate(shape):
            places = np.arange(length) * back[axis, axis] + back[axis, 3]
            inside.append((places > -0.5) & (places < self.shape[axis] - 0.5))
        there[np.ix_(*inside)] = True
        result = ndimage.affine_transform(
            values.astype(np.float32), np.diag(back[:3, :3]), back[:3, 3], output_shape=tuple(shape), order=1,
            mode="nearest", prefilter=False,
        )  # fmt: skip
        return result, there


def field_of(scan: AlignedScan, step: float) -> Field:
    """The field of a scan, with voxels of about `step` mm, but no finer than the scan along its finest axis.

    Raises:
        InputError: no voxel of the scan lies in MNI152's grid.
    """
    to_world = np.linalg.inv(scan.alignment.to_mni) @ scan.to_mni
    sizes = np.linalg.norm(to_world[:3, :3], axis=0)
    step = max(step, float(sizes.min()))
    steps = np.where(np.abs(np.log(sizes / step)) <= np.log(_OWN_STEP), sizes, step)
    low, high = _part_in_mni(scan)
    ratio = steps / sizes
    lengths = np.maximum(np.ceil((high - low + 1) / ratio), 1).astype(int)
    shape = -(-lengths // _MULTIPLE) * _MULTIPLE
    to_scan = np.diag([*ratio, 1.0])
    # The grid's middle is that of the part; where steps are the scan's own, voxels fall on voxels.
    first = (low + high) / 2 - ratio * (shape - 1) / 2
    to_scan[:3, 3] = np.where(ratio == 1, np.floor(first), first)
    return Field(tuple(shape.tolist()), to_scan, scan.to_mni @ to_scan, steps)


def _part_in_mni(scan: AlignedScan) -> tuple[np.ndarray, np.ndarray]:
    """First and last voxel `[3]` of the scan along each axis that lie in MNI152's grid and not beside the head."""
    corners = (
        np.indices((2, 2, 2)).reshape(3, -1) * (np.array(grid.SHAPE)[:, None] - 1) + np.array(grid.ORIGIN)[:, None]
    )
    places = np.linalg.inv(scan.to_mni) @ np.vstack([corners, np.ones(8)])
    low = np.maximum(np.floor(places[:3].min(axis=1)), 0)
    high = np.minimum(np.ceil(places[:3].max(axis=1)), np.array(scan.values.shape) - 1)
    if (high < low).any():
        raise InputError(f"{scan.name}: lies outside of MNI152 after alignment, expected a scan of a head")
    sizes = np.linalg.norm(scan.to_mni[:3, :3], axis=0)
    part = tuple(slice(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))
    # Bright voxels: noise of the air is darker. A few may lie anywhere.
    places = np.argwhere(scan.values[part][::2, ::2, ::2] > _BRIGHT) * 2
    if len(places):
        ends = np.percentile(places, (_FEW, 100 - _FEW), axis=0) + low
        low = np.maximum(low, np.floor(ends[0] - _MARGIN_MM / sizes))
        high = np.minimum(high, np.ceil(ends[1] + _MARGIN_MM / sizes))
    return low, high
