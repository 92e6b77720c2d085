"""A scan and its labels as a page shows them: in RAS order, cropped to the head, in 8 bits, of bounded size."""

import base64
import gzip
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A page holds at most so many voxels, a head at 0.9 mm; of a larger scan every second voxel is shown, or every third.
_MOST_VOXELS = 2**24

# Intensities that become black and white, over the voxels that are not the least.
_PERCENTILES = (0.5, 99.5)

# Grey values that are shown as black: noise around the head, which would be most of a page's bytes.
_NOISE = 10

# A plane shows the head if it is so bright, as a share of the brightest plane. Around the head so much remains, mm.
_HEAD = 0.05
_MARGIN_MM = 5


@dataclass(frozen=True, eq=False)
class ShownVolume:
    """A scan and its labels.

    Attributes:
        scan: uint8 `[X, Y, Z]`, axes in the closest RAS order.
        places: uint16 `[X, Y, Z]`, the place of each voxel's label in the list of labels, counted from 1; 0: none.
        affine: `[4, 4]`, voxel -> world in mm (RAS).
        step: every so many voxels of the scan are shown.
    """

    scan: np.ndarray
    places: np.ndarray
    affine: np.ndarray
    step: int

    @property
    def spacing(self) -> np.ndarray:
        """Size of a voxel in mm, `[3]`."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    def world(self, voxel: Sequence[int]) -> list[float]:
        """Where the middle of a voxel lies in mm (RAS)."""
        return [round(float(x), 2) for x in self.affine[:3] @ [*voxel, 1]]


def shown_volume(scan: np.ndarray, labels: np.ndarray, affine: np.ndarray, values: Sequence[int]) -> ShownVolume:
    """Prepares a scan and its labels for a page.

    Args:
        scan: `[X, Y, Z]`, finite, in any unit, axes in any order.
        labels: `[X, Y, Z]`, whole numbers.
        affine: `[4, 4]`, voxel -> world in mm (RAS).
        values: the labels to show, at most 65535.

    Example:
        >>> scan = np.zeros((40, 40, 40))
        >>> scan[10:30, 10:30, 10:30] = 7
        >>> volume = shown_volume(scan, np.where(scan > 0, 53, 0), np.diag([-1.0, 1, 1, 1]), [17, 53])
        >>> volume.scan.shape, volume.scan.max(), volume.places.max(), volume.affine[0, 0]
        ((30, 30, 30), np.uint8(255), np.uint16(2), np.float64(1.0))
    """
    import nibabel as nib

    stored = nib.orientations.io_orientation(affine)
    affine = affine @ nib.orientations.inv_ornt_aff(stored, scan.shape)
    scan, labels = (nib.orientations.apply_orientation(x, stored) for x in (scan, labels))
    grey, places = grey_values(scan), _places(labels, values)
    grey[grey < _NOISE] = 0
    box = _box(grey, places > 0, np.linalg.norm(affine[:3, :3], axis=0))
    step = 1
    while np.prod([-(-(x.stop - x.start) // step) for x in box]) > _MOST_VOXELS:
        step += 1
    part = tuple(slice(x.start, x.stop, step) for x in box)
    to_scan = np.diag([step, step, step, 1.0])
    to_scan[:3, 3] = [x.start for x in box]
    return ShownVolume(np.ascontiguousarray(grey[part]), np.ascontiguousarray(places[part]), affine @ to_scan, step)


def nifti_gz(values: np.ndarray, affine: np.ndarray, *, labels: bool = False) -> bytes:
    """A volume as the content of a `.nii.gz` file. The same volume gives the same bytes.

    Args:
        values: `[X, Y, Z]`, uint8 or uint16.
        affine: `[4, 4]`, voxel -> world in mm (RAS).
        labels: the header says that the values are labels.
    """
    import nibabel as nib

    image = nib.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    if labels:
        image.header.set_intent("label")
    return gzip.compress(image.to_bytes(), 6, mtime=0)


def nifti_base64(values: np.ndarray, affine: np.ndarray, *, labels: bool = False) -> str:
    """The file of `nifti_gz` in base64."""
    return base64.b64encode(nifti_gz(values, affine, labels=labels)).decode()


def grey_values(scan: np.ndarray) -> np.ndarray:
    """A scan in any unit as uint8 of the same shape: black and white are percentiles of its foreground.

    >>> grey_values(np.array([0.0, 5, 7, 9])).tolist()
    [0, 0, 127, 255]
    """
    inside = scan[scan > scan.min()]
    low, high = np.percentile(inside, _PERCENTILES) if inside.size else (0, 0)
    if high <= low:
        low = float(scan.min())
    scaled = scan - np.float32(low)
    scaled *= 255 / max(high - low, 1e-12)
    return np.clip(scaled, 0, 255, out=scaled).astype(np.uint8)


def _places(labels: np.ndarray, values: Sequence[int]) -> np.ndarray:
    """`[X, Y, Z]` uint16: the place of a label in `values`, from 1."""
    order = np.argsort(values, kind="stable")
    ascending = np.asarray(values, np.int64)[order]
    found = np.minimum(np.searchsorted(ascending, labels), max(len(values) - 1, 0))
    if not len(values):
        return np.zeros(labels.shape, np.uint16)
    return np.where(ascending[found] == labels, order[found] + 1, 0).astype(np.uint16)


def _box(grey: np.ndarray, labelled: np.ndarray, spacing: np.ndarray) -> tuple[slice, ...]:
    """The part that shows the head or labels, with a margin."""
    parts = []
    for axis in range(3):
        across = tuple(a for a in range(3) if a != axis)
        brightness = grey.mean(axis=across)
        seen = np.flatnonzero((brightness > _HEAD * brightness.max()) | labelled.any(axis=across))
        first, last = (seen[0], seen[-1]) if seen.size else (0, grey.shape[axis] - 1)
        margin = int(np.ceil(_MARGIN_MM / spacing[axis]))
        parts.append(slice(max(int(first) - margin, 0), min(int(last) + margin + 1, grey.shape[axis])))
    return tuple(parts)
