"""Reads scans and their label maps: from files, or from images of nibabel."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.volumes.scan import Example, Scan, to_ras

if TYPE_CHECKING:
    import nibabel as nib

# A label map lies on its scan if no corner is further away than this, in voxels.
_SAME_PLACE = 0.25


def scan_of(image: "nib.spatialimages.SpatialImage", name: str = "scan") -> Scan:
    """A scan from an image of nibabel. Raises InputError as `Scan` does."""
    values = np.asarray(image.dataobj)
    return Scan(values.reshape(values.shape[:3]) if values.shape[3:] == (1,) else values, image.affine, name)


def read_scan(path: Path) -> Scan:
    """Reads a scan with its axes in the order of the file.

    Raises:
        InputError: it cannot be read, is not one volume, does not say where left and right are; or as `Scan`.
    """
    return Scan(*_read(path), one_line(path))


def read_example(path: Path, labels: Path, annotated: tuple[int, ...] | None = None) -> Example:
    """Reads an annotated scan, with its axes in the closest RAS order.

    Raises:
        InputError: as `read_scan` and `Example`; or the label map lies on other voxels than the scan.
    """
    scan = read_scan(path).canonical()
    values, affine = to_ras(*_read(labels))
    corners = np.indices((2, 2, 2)).reshape(3, -1) * (np.array(scan.values.shape)[:, None] - 1)
    corners = np.concatenate([corners, np.ones((1, corners.shape[1]))])
    moved = np.linalg.solve(affine, scan.affine @ corners) - corners
    if values.shape != scan.values.shape or np.abs(moved).max() > _SAME_PLACE:
        raise InputError(f"{one_line(labels)}: lies on other voxels than {scan.name}, expected a label map on them")
    return Example(scan, values, annotated)  # type: ignore[arg-type]


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    from neuralizer_jax.files.volumes import NO_ORIENTATION, open_volume

    with open_volume(path) as volume:
        if not volume.oriented:
            raise InputError(f"left and right cannot be known, as {NO_ORIENTATION}, expected one")
        values = volume.scaled(volume.stored())
        return values.reshape(values.shape[:3]), volume.affine
