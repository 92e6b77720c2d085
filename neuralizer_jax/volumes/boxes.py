"""Boxes of the MNI152 grid of 1 mm: where a structure lies, and volumes cut out there by one interpolation."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from neuralizer_jax.volumes.displacement import moved

# Lengths of the crops in voxels: few, so that few programs are compiled, and multiples of 16.
SIZES = (48, 64, 80, 96, 112, 128, 160, 192, 224, 256)


@dataclass(frozen=True)
class Box:
    """A box of voxels of 1 mm: the MNI152 coordinates of voxel 0 in mm, whole numbers, and the number of voxels."""

    low: tuple[int, int, int]
    shape: tuple[int, int, int]

    @property
    def affine(self) -> np.ndarray:
        """Voxel -> MNI152 in mm, `[4, 4]`."""
        affine = np.eye(4)
        affine[:3, 3] = self.low
        return affine

    def part(self, inner: "Box") -> tuple[slice, slice, slice]:
        """Where a box lies in this one that holds it."""
        x, y, z = (
            slice(first - start, first - start + length)
            for start, first, length in zip(self.low, inner.low, inner.shape, strict=True)
        )
        return x, y, z


def box_around(low: np.ndarray, high: np.ndarray, margin: float) -> Box:
    """The box with one of the `SIZES` along each axis that holds an extent (`[3]` mm each) and a margin around it.

    Example:
        >>> box_around(np.array([0, 0, 0]), np.array([30, 10, 40]), margin=10)
        Box(low=(-16, -18, -11), shape=(64, 48, 64))
    """
    lows, shape = [], []
    for first, last in zip(np.floor(low - margin).astype(int), np.ceil(high + margin).astype(int), strict=True):
        needed = int(last - first) + 1
        size = next((size for size in SIZES if size >= needed), -(-needed // 16) * 16)
        lows.append(int(first) - (size - needed) // 2)
        shape.append(size)
    return Box((lows[0], lows[1], lows[2]), (shape[0], shape[1], shape[2]))


def cut(
    volume: np.ndarray, to_mni: np.ndarray, box: Box, *, label: int | None = None, field: np.ndarray | None = None
) -> np.ndarray:
    """Cuts a volume at a box: linearly, 0 outside of the volume.

    Args:
        volume: `[X, Y, Z]`.
        to_mni: `[4, 4]`, voxel of the volume -> MNI152 in mm.
        box: where.
        label: the volume is a label map, and the result the mask of this label.
        field: displaces the voxels of the box before they are looked up (`displacement.moved`); None: none does.

    Returns:
        float32 `[*box.shape]`.
    """
    to_voxel = np.linalg.inv(to_mni) @ box.affine
    if field is None:
        voxels = np.indices((2, 2, 2)).reshape(3, -1) * (np.array(box.shape)[:, None] - 1)
    else:
        low = np.array(box.low, np.float32)[:, None]
        voxels = moved(np.indices(box.shape, np.float32).reshape(3, -1) + low, field) - low
    places = to_voxel[:3, :3] @ voxels + to_voxel[:3, 3:]
    # Only the part that is needed is converted to float32.
    low = np.clip(np.floor(places.min(axis=1)).astype(int) - 1, 0, volume.shape)
    high = np.clip(np.ceil(places.max(axis=1)).astype(int) + 2, 0, volume.shape)
    if (high <= low).any():
        return np.zeros(box.shape, np.float32)
    part = volume[tuple(slice(*ends) for ends in zip(low, high, strict=True))]
    part = part.astype(np.float32) if label is None else (part == label).astype(np.float32)
    if field is None:
        result = ndimage.affine_transform(
            part, to_voxel[:3, :3], to_voxel[:3, 3] - low, output_shape=box.shape, order=1, mode="grid-constant",
            prefilter=False,
        )  # fmt: skip
    else:
        places -= low[:, None]
        result = ndimage.map_coordinates(part, places, order=1, mode="grid-constant", prefilter=False)
        result = result.reshape(box.shape)
    return result if label is None else _mask(result)


def _mask(share: np.ndarray) -> np.ndarray:
    """The mask of a label from its share of each voxel: half or more, or less where thin parts would be lost."""
    voxels = round(float(share.sum()))
    if not voxels:
        return np.zeros_like(share)
    threshold = min(0.5, float(np.partition(share, -voxels, axis=None)[-voxels]))
    # Many voxels may have the same share: all of them or none, whichever changes the volume by the smaller factor.
    candidates = (share >= max(threshold, 1e-3), share > threshold)
    return min(candidates, key=lambda mask: abs(np.log((mask.sum() + 0.1) / voxels))).astype(np.float32)
