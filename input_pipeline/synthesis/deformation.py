"""Changes of shape: random smooth diffeomorphic warps of label maps, and reflection with left and right exchanged.

A warp is the flow of a stationary velocity field, integrated by scaling and squaring (Arsigny et al. 2006, MICCAI) on a
coarse grid; only the voxels that are asked for are interpolated, so a slab costs no more than its size.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates

from input_pipeline.space.protocol_sides import other_side
from input_pipeline.space.random_field import generator, smooth_field

# Distance of the integration grid's nodes, voxels.
_SPACING = 4

# The velocity field varies over these distances (voxels) with these shares: lobes, and single gyri.
_SCALES = ((32, 1.0), (9, 0.35))

# The flow of time 1 is made of 2**_SQUARINGS equal steps.
_SQUARINGS = 6


@dataclass(frozen=True)
class Warp:
    """A smooth displacement: the output at p shows what the input has at p + displacement(p).

    Attributes:
        shape: of the volumes it applies to.
        displacement: `[axes, ...]` float32 in voxels (1 mm on the project's grid), on nodes `_SPACING` voxels apart.
    """

    shape: tuple[int, ...]
    displacement: np.ndarray


@dataclass(frozen=True)
class Growth:
    """Growth of what lies around a point, by exp(rate) along each axis at the point, fading away like a Gaussian.

    Attributes:
        centre: the point, in voxels.
        radii: standard deviations of the Gaussian along each axis, voxels.
        rate: logarithm of the factor; negative shrinks.
    """

    centre: tuple[float, ...]
    radii: tuple[float, ...]
    rate: float


def random_svf_warp(
    shape: tuple[int, ...], seed: int, amplitude: float = 6.0, growths: tuple[Growth, ...] = ()
) -> Warp:
    """A random diffeomorphic warp.

    Args:
        shape: of the volumes to be warped.
        seed: of the velocity field.
        amplitude: largest speed of the field, which no displacement exceeds, in voxels. The mean displacement is about
            a third of it. 3 to 8 looks like the differences that remain between heads after affine alignment.
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
    """Displacement `[axes, ...]` in voxels, float32, of each voxel of the region (None: of the whole volume)."""
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
    """Labels of the warped volume in the region, by nearest neighbour; its border extends outwards.

    Args:
        labels: the volume, of the warp's shape.
        warp: applied after the matrix.
        region: the part of the output that is computed; None: all of it.
        matrix: affine, `[axes, axes + 1]`, from output voxels to input voxels; None: identity.
    """
    if labels.shape != warp.shape:
        raise ValueError(f"labels are of shape {labels.shape}, expected {warp.shape} as the warp")
    region = region or (slice(None),) * labels.ndim
    axes = [np.arange(length, dtype=np.float32)[part] for part, length in zip(region, labels.shape, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij")) + displacement_at(warp, region)
    if matrix is not None:
        matrix = np.asarray(matrix, np.float32)
        offset = matrix[:, -1].reshape(-1, *(1,) * labels.ndim)
        points = np.tensordot(matrix[:, :-1], points, axes=1) + offset
    return map_coordinates(labels, points, order=0, mode="nearest")


def swap_hemispheres(labels: np.ndarray, axis: int = 0) -> np.ndarray:
    """Reflects the array along its left-right axis and exchanges left and right label values.

    The mirror is the middle of the array (x = -0.5 mm on the project's grid). A volume in RAS order has x on axis 0, a
    coronal image (`grid.coronal_image`) on axis 1.
    """
    labels = np.asarray(labels)
    return other_side("freesurfer")[np.flip(labels, axis)].astype(labels.dtype)
