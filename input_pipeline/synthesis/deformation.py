"""Deformation of label maps: random diffeomorphic warps, and exchange of the hemispheres.

A warp is the flow of a stationary velocity field, integrated by scaling and squaring (Arsigny et al. 2006, MICCAI) on a
coarse grid. Only the voxels of the requested region are interpolated.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import map_coordinates

from input_pipeline.space.protocols import other_side
from input_pipeline.space.random_field import generator, smooth_field

# Distance between the nodes of the integration grid, voxels.
_SPACING = 4

# The scales of the velocity field (voxels) and their shares: lobes, and single gyri.
_SCALES = ((32, 1.0), (9, 0.35))

# The flow consists of 2**_SQUARINGS equal steps.
_SQUARINGS = 6


class Warp(NamedTuple):
    """A smooth displacement: the output at p is the input at p + displacement(p).

    Attributes:
        shape: of the volumes to warp.
        displacement: `[axes, ...]` float32 in voxels (1 mm on the MNI152 grid), at nodes `_SPACING` voxels apart.
    """

    shape: tuple[int, ...]
    displacement: np.ndarray


class Growth(NamedTuple):
    """Growth around a point, by the factor exp(rate) along each axis at the point; it decays like a Gaussian."""

    centre: tuple[float, ...]  # voxels
    radii: tuple[float, ...]  # standard deviations of the Gaussian along each axis, voxels
    rate: float  # negative values shrink


def random_svf_warp(
    shape: tuple[int, ...], seed: int, amplitude: float = 6.0, growths: tuple[Growth, ...] = ()
) -> Warp:
    """Draws a random diffeomorphic warp.

    Args:
        shape: of the volumes to warp.
        seed: of the velocity field.
        amplitude: largest speed of the field and upper bound of the displacement, in voxels. The mean displacement is
            about a third of it. 3 to 8 resembles the differences between heads after affine alignment.
        growths: added to the field.
    """
    rng = generator(seed, "warp")
    nodes = tuple(int(np.ceil((length - 1) / _SPACING)) + 1 for length in shape)
    velocity = np.stack(
        [sum(share * smooth_field(rng, nodes, scale, _SPACING) for scale, share in _SCALES) for _ in shape]
    )
    velocity *= amplitude / np.sqrt((velocity**2).sum(0)).max()
    grid = np.indices(nodes, dtype=np.float32)
    for growth in growths:
        offsets = [_SPACING * place - centre for place, centre in zip(grid, growth.centre, strict=True)]
        near = np.exp(-sum((offset / radius) ** 2 for offset, radius in zip(offsets, growth.radii, strict=True)) / 2)
        velocity -= growth.rate * near * np.stack(offsets)
    displacement = velocity / 2**_SQUARINGS
    for _ in range(_SQUARINGS):
        points = grid + displacement / _SPACING
        moved = [map_coordinates(part, points, order=1, mode="nearest") for part in displacement]
        displacement = displacement + np.stack(moved)
    return Warp(tuple(shape), displacement)


def displacement_at(warp: Warp, region: tuple[slice, ...] | None = None) -> np.ndarray:
    """Displacement `[axes, ...]` of each voxel of a region (None: the whole volume), in voxels, float32."""
    region = region or (slice(None),) * len(warp.shape)
    field = warp.displacement
    for part, length in zip(region, warp.shape, strict=True):
        places = np.arange(length)[part] / _SPACING
        first = np.minimum(places.astype(int), field.shape[1] - 2)
        weight = (places - first).astype(np.float32)
        interpolation = np.zeros((places.size, field.shape[1]), np.float32)
        interpolation[np.arange(places.size), first] = 1 - weight
        interpolation[np.arange(places.size), first + 1] += weight
        field = np.tensordot(field, interpolation, axes=(1, 1))
    return field


def warp_labels(
    labels: np.ndarray, warp: Warp, region: tuple[slice, ...] | None = None, matrix: np.ndarray | None = None
) -> np.ndarray:
    """Warps a label map by nearest-neighbour interpolation; outside of the volume its border is repeated.

    Args:
        labels: volume of the shape `warp.shape`.
        warp: maps output voxels to the domain of `matrix`.
        region: part of the output to compute; None: all of it.
        matrix: `[axes, axes + 1]`, affine map from warped voxels to input voxels; None: identity.

    Raises:
        ValueError: if the shapes differ.
    """
    if labels.shape != warp.shape:
        raise ValueError(f"labels are of shape {labels.shape}, expected {warp.shape} as the warp")
    region = region or (slice(None),) * labels.ndim
    axes = [np.arange(length, dtype=np.float32)[part] for part, length in zip(region, labels.shape, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij")) + displacement_at(warp, region)
    if matrix is not None:
        matrix = np.asarray(matrix, np.float32)
        points = np.tensordot(matrix[:, :-1], points, axes=1) + matrix[:, -1].reshape(-1, *(1,) * labels.ndim)
    return map_coordinates(labels, points, order=0, mode="nearest")


def swap_hemispheres(labels: np.ndarray, axis: int = 0) -> np.ndarray:
    """Mirrors a FreeSurfer label map at the middle of an axis, and exchanges left and right labels.

    The left-right axis is 0 in volumes in RAS order and 1 in coronal images (`grid.coronal_image`).
    """
    return other_side("freesurfer")[np.flip(labels, axis)].astype(labels.dtype)
