"""Deformation of the T1-weighted MNI152 template to a scan that is aligned affinely."""

from functools import cache

import numpy as np
from scipy import ndimage

from input_pipeline.align.deformable import averaged, displacements
from input_pipeline.space.grid import AFFINE, SHAPE
from input_pipeline.space.resample import resample_to_grid

# Voxels of the grid on which images are registered, mm.
_VOXEL_MM = 2


def deform_to_template(values: np.ndarray, seen: np.ndarray, *, skull_stripped: bool, step_mm: int) -> np.ndarray:
    """Finds where each voxel of the template lies in a scan.

    Args:
        values: `[192, 224, 192]` in [0, 1], the scan on the grid of MNI152.
        seen: `[192, 224, 192]`, 0 to 1, where the scan has voxels: elsewhere the template is not looked at.
        skull_stripped: whether it shows a brain alone.
        step_mm: the result is averaged over blocks of so many mm, a multiple of 2.

    Returns:
        float32 `[3, X, Y, Z]` mm: place in the scan minus place in the template.
    """
    template, brain = _template()
    scan, covered = averaged(values, _VOXEL_MM), averaged(seen, _VOXEL_MM) > 0.5
    if not skull_stripped:  # the template has no skull
        covered &= brain
    found = displacements(np.where(covered, template, 0), np.where(covered, scan, 0), float(_VOXEL_MM))
    return np.stack([averaged(found[..., axis], step_mm // _VOXEL_MM) for axis in range(3)])


@cache
def _template() -> tuple[np.ndarray, np.ndarray]:
    """The template in [0, 1], and where its brain is."""
    from nilearn.datasets import load_mni152_template

    image = load_mni152_template(resolution=1)
    values = np.asarray(image.dataobj, np.float32)
    on_grid = resample_to_grid(
        values / values.max(), image.affine, np.eye(4), labels=False, shape=SHAPE, grid_affine=AFFINE
    )
    template = averaged(on_grid, _VOXEL_MM)
    return template, ndimage.binary_fill_holes(ndimage.binary_closing(template > 0.1, iterations=3))
