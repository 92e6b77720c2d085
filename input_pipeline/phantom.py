"""A population of heads made of nothing but the MNI152 template that nilearn ships.

One label map (`phantom_brain` inside, `phantom_head` around it), symmetric as the template is, and subjects made of it
by warping. The labels are those of `contrast_table`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from input_pipeline import mni_grid
from input_pipeline.deformation import Growth, displacement_at, random_svf_warp, warp_labels
from input_pipeline.phantom_brain import brain_labels
from input_pipeline.phantom_head import head_labels
from input_pipeline.random_field import generator

# The lateral ventricles, which differ in size more than anything else in the brain: centres and extent, mm.
_VENTRICLES = (-12, -12, 20), (12, -12, 20)
_VENTRICLE_RADII = (10, 30, 9)


@lru_cache(maxsize=1)
def phantom_label_map() -> tuple[np.ndarray, np.ndarray]:
    """The label map, read-only uint16 on the grid of `mni_grid`, and its affine. Takes some seconds once a process."""
    labels = head_labels(brain_labels()).astype(np.uint16)
    affine = mni_grid.AFFINE.copy()
    for array in (labels, affine):
        array.flags.writeable = False
    return labels, affine


@dataclass(frozen=True)
class PhantomSubject:
    """One head of the phantom population.

    Attributes:
        seed: of everything random in it; also for `synthesis.synthesize_image`.
        slab: labels `[192, planes, 192]` uint16 in RAS order around the coronal slice, which is the middle plane.
    """

    seed: int
    slab: np.ndarray

    def coronal(self, slab: np.ndarray | None = None) -> np.ndarray:
        """The slice `[192, 192]` of the labels, or of an image synthesised from `slab`."""
        slab = self.slab if slab is None else slab
        return mni_grid.coronal_image(slab, slab.shape[1] // 2)


def phantom_subjects(count: int, seed: int, y: int = mni_grid.SLICE_Y, planes: int = 3) -> Iterator[PhantomSubject]:
    """Warped copies of the phantom: subject i is the same whatever the count.

    Args:
        count: how many.
        seed: of the population.
        y: the coronal slice, mm.
        planes: thickness of the slab in mm, odd: synthesis blurs over the neighbours.
    """
    if planes < 1 or planes % 2 == 0:
        raise ValueError(f"planes is {planes}, expected an odd number")
    labels, _ = phantom_label_map()
    middle = mni_grid.coronal_index(y)
    region = (slice(None), slice(middle - planes // 2, middle + planes // 2 + 1), slice(None))
    for index in range(count):
        own = int(generator(seed, "population", index).integers(2**32))
        rng = generator(own, "phantom")
        amplitude, rate = rng.uniform(3.5, 6.5), rng.normal(0.1, 0.45)
        growths = tuple(Growth(tuple(np.subtract(c, mni_grid.ORIGIN)), _VENTRICLE_RADII, rate) for c in _VENTRICLES)
        warp = random_svf_warp(labels.shape, own, amplitude, growths)
        matrix = _small_affine(rng)
        # What the warp moves the middle of the slice by, alignment would have taken away.
        shift = displacement_at(warp, _box_around((0, y, -5), (25, 1, 25))).mean((1, 2, 3))
        matrix[:, 3] -= matrix[:, :3] @ shift
        yield PhantomSubject(own, warp_labels(labels, warp, region, matrix))


def _box_around(centre: tuple[int, int, int], half: tuple[int, int, int]) -> tuple[slice, ...]:
    """The voxels up to `half` mm from a point (x, y, z in mm) along each axis."""
    voxels = np.subtract(centre, mni_grid.ORIGIN)
    return tuple(slice(v - h, v + h + 1) for v, h in zip(voxels, half, strict=True))


def _small_affine(rng: np.random.Generator) -> np.ndarray:
    """What affine alignment leaves over: 1.5 degrees, 3 % and 1 mm (standard deviations) about the grid's centre."""
    angles = np.deg2rad(rng.normal(scale=1.5, size=3))
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        turn = np.eye(3)
        first, second = [a for a in range(3) if a != axis]
        turn[[first, second], [first, second]] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    matrix = matrix * np.exp(rng.normal(scale=0.03, size=3))
    centre = np.array(mni_grid.SHAPE) / 2
    return np.column_stack([matrix, centre - matrix @ centre + rng.normal(scale=1, size=3)])
