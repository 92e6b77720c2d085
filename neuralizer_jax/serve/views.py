"""Scans and labels as the page shows them, NIfTI in RAS order; and labels from outside, on the voxels of a scan.

A 2-D image becomes one axial plane: columns from left to right, rows from anterior to posterior, pixels of 1 mm.
"""

from pathlib import Path

import numpy as np

from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.image_files import read_image
from neuralizer_jax.files.image_formats import smallest_integers
from neuralizer_jax.files.nifti import LABEL_TYPES
from neuralizer_jax.files.volume_grid import VolumeGrid, lies_on, read_grid, read_labels
from neuralizer_jax.pictures.shown_volume import grey_values
from neuralizer_jax.serve.folders import ScanFile
from neuralizer_jax.volumes.read_scan import read_scan
from neuralizer_jax.volumes.scan import to_ras

# A larger scan is more than a browser shows; 400 x 400 x 400.
MAX_VOXELS = 2**26


def grid_of(scan: ScanFile) -> VolumeGrid:
    """The voxels of a scan; of a 2-D image as the page shows it.

    Raises:
        InputError: the file is damaged, its header does not say where left and right are, or it is too large.
    """
    if not scan.is_volume:
        import nibabel as nib

        height, width = read_image(scan.path).pixels.shape[:2]
        return VolumeGrid(nib.Nifti1Header(), (width, height, 1), np.eye(4))
    grid = read_grid(scan.path)
    if np.prod(grid.shape) > MAX_VOXELS:
        size = " x ".join(map(str, grid.shape))
        raise InputError(f"{one_line(scan.path)}: has {size} voxels, expected at most {MAX_VOXELS} in the workbench")
    return grid


def shown_scan(scan: ScanFile, path: Path | None = None) -> bytes:
    """A scan, or another image of it such as a denoised one, as a NIfTI file of uint8 in RAS order."""
    path = path or scan.path
    if scan.is_volume:
        grid_of(scan)
        values, affine = to_ras(read_scan(path).values, read_grid(path).affine)
        return _nifti(grey_values(values), affine)
    pixels = read_image(path).pixels
    return _nifti(grey_values(_plane(pixels.mean(axis=-1) if pixels.ndim == 3 else pixels)), np.eye(4))


def shown_labels(scan: ScanFile, path: Path) -> bytes:
    """A label map of a scan as a NIfTI file in RAS order, in the smallest type that holds its labels.

    Raises:
        InputError: it cannot be read, or lies on other voxels than the scan.
    """
    if scan.is_volume:
        labels, affine = to_ras(_on_grid(path, grid_of(scan)), grid_of(scan).affine)
    else:
        labels, affine = _plane(read_image(path, labels=True).pixels), np.eye(4)
    return _nifti(smallest_integers(labels, LABEL_TYPES), affine)


def labels_from(path: Path, scan: ScanFile) -> np.ndarray:
    """Labels that were drawn elsewhere, in the order of axes of the scan's file; of an image `[H, W]`.

    Args:
        path: a NIfTI or MGH file on the voxels of the scan, in any order of axes; of an image one plane, as shown.
        scan: the scan.

    Raises:
        InputError: the file is damaged, holds no whole numbers, or lies on other voxels.
    """
    if scan.is_volume:
        return _on_grid(path, grid_of(scan))
    width, height, _ = grid_of(scan).shape
    labels = read_labels(path)
    if labels.reshape(labels.shape[:2]).shape != (width, height):
        raise InputError(f"the labels have {labels.shape[:2]} pixels, expected {(width, height)}")
    return np.ascontiguousarray(labels.reshape(width, height)[:, ::-1].T)


def _on_grid(path: Path, grid: VolumeGrid) -> np.ndarray:
    """The labels of a file in the order of axes of a grid."""
    import nibabel as nib

    own = read_grid(path)
    if not lies_on(own, grid):
        raise InputError("the labels lie on other voxels than the scan, expected a label map on its voxels")
    to_grid = np.linalg.solve(grid.affine, own.affine)[:3, :3]  # of voxels, an exchange of axes
    axes = np.abs(to_grid).argmax(axis=0)
    turn = np.stack([axes, np.sign(to_grid[axes, range(3)])], axis=1)
    return np.ascontiguousarray(nib.orientations.apply_orientation(read_labels(path), turn))


def _plane(pixels: np.ndarray) -> np.ndarray:
    """`[H, W]` -> `[W, H, 1]`."""
    return pixels[::-1].T[..., None]


def _nifti(values: np.ndarray, affine: np.ndarray) -> bytes:
    import nibabel as nib

    image = nib.Nifti1Image(values, affine)
    image.set_sform(affine, code=1)
    image.header.set_xyzt_units("mm")
    return image.to_bytes()
