"""New subjects from a label map: a random warp, and the small affine differences that remain after alignment."""

import numpy as np

from input_pipeline.space import grid
from input_pipeline.space.random_field import generator
from input_pipeline.synthesis.deformation import Growth, displacement_at, random_svf_warp, warp_labels

# The lateral ventricles vary in size more than any other structure: centres and standard deviations of growth, mm.
_VENTRICLES = (-12, -12, 20), (12, -12, 20)
_VENTRICLE_RADII = (10, 30, 9)


def vary_anatomy(labels: np.ndarray, seed: int, planes: range) -> np.ndarray:
    """Coronal planes of a new subject, `[192, len(planes), 192]`, made from a label map on the MNI152 grid.

    The anatomy depends on the seed only, not on `planes` (consecutive indices along y).
    """
    rng = generator(seed, "phantom")
    amplitude, rate = rng.uniform(3.5, 6.5), rng.normal(0.1, 0.45)
    growths = tuple(Growth(tuple(np.subtract(c, grid.ORIGIN)), _VENTRICLE_RADII, rate) for c in _VENTRICLES)
    warp = random_svf_warp(labels.shape, seed, amplitude, growths)
    matrix = _small_affine(rng)
    # Alignment would have removed the mean displacement in the middle of the slice.
    shift = displacement_at(warp, _box_around((0, grid.SLICE_Y, -5), (25, 1, 25))).mean((1, 2, 3))
    matrix[:, 3] -= matrix[:, :3] @ shift
    return warp_labels(labels, warp, (slice(None), slice(planes.start, planes.stop), slice(None)), matrix)


def _box_around(centre: tuple[int, int, int], half: tuple[int, int, int]) -> tuple[slice, ...]:
    """The voxels within `half` mm of a point (x, y, z in mm) along each axis."""
    voxels = np.subtract(centre, grid.ORIGIN)
    return tuple(slice(v - h, v + h + 1) for v, h in zip(voxels, half, strict=True))


def _small_affine(rng: np.random.Generator) -> np.ndarray:
    """Affine differences after alignment: 1.5 degrees, 3 % and 1 mm (standard deviations) about the grid's centre."""
    angles = np.deg2rad(rng.normal(scale=1.5, size=3))
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        turn = np.eye(3)
        first, second = [a for a in range(3) if a != axis]
        turn[[first, second], [first, second]] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    matrix = matrix * np.exp(rng.normal(scale=0.03, size=3))
    centre = np.array(grid.SHAPE) / 2
    return np.column_stack([matrix, centre - matrix @ centre + rng.normal(scale=1, size=3)])
