"""The voxels of a whole volume as its file has them: where they lie, and how a result is written on them."""

import gzip
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.files.endings import volume_ending
from neuralizer_jax.files.geometry import SAME_PLACE
from neuralizer_jax.files.image_formats import smallest_integers, whole_numbers
from neuralizer_jax.files.nifti import LABEL_TYPES, nifti_header, nifti_or_mgh, sides_disagree
from neuralizer_jax.files.planes import axis_directions
from neuralizer_jax.files.volumes import NO_ORIENTATION, open_volume

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

# float32 holds whole numbers up to here.
_LARGEST_WHOLE = 2**24


@dataclass(frozen=True, eq=False)
class VolumeGrid:
    """The grid of a file, in the file's order of axes.

    header: as NIfTI, for FreeSurfer files too.
    shape: `(X, Y, Z)`.
    affine: `[4, 4]`, voxel to RAS mm.
    contradictory: the header's sform, which counts, and its qform disagree about left and right.
    """

    header: "Nifti1Header"
    shape: tuple[int, int, int]
    affine: np.ndarray
    contradictory: bool = False

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel, mm^3."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))


def is_volume(path: Path) -> bool:
    """Whether a file holds a volume rather than an image: it has more than one voxel along three axes.

    False for a file that cannot be read.
    """
    if not volume_ending(path):
        return False
    try:
        with open_volume(path) as volume:
            return sum(length > 1 for length in volume.image.shape) > 2
    except (InputError, OSError):
        return False


def read_grid(path: Path) -> VolumeGrid:
    """Reads the header of a volume.

    Raises:
        InputError: the file is damaged, no volume, or its header does not say where left and right are.
    """
    with open_volume(path) as volume:
        lengths = tuple(map(int, volume.image.shape[:3]))
        if len(lengths) < 3 or 1 in lengths:
            raise InputError(f"is a plane of {' x '.join(map(str, lengths))} voxels, expected a volume")
        if not volume.oriented:
            raise InputError(f"left and right cannot be known, as {NO_ORIENTATION}, expected one")
        axis_directions(volume.affine)  # raises if it has none
        header = nifti_header(volume)
        return VolumeGrid(header, (lengths[0], lengths[1], lengths[2]), volume.affine, sides_disagree(header))


def contradictions(grids: Mapping[Path, VolumeGrid]) -> list[str]:
    """Notes on files whose headers contradict themselves."""
    return [
        f"{one_line(path)}: sform and qform of the header disagree about left and right, the sform counts"
        for path, grid in grids.items()
        if grid.contradictory
    ]


def read_labels(path: Path) -> np.ndarray:
    """Reads a label map, int32 `[X, Y, Z]`, in the file's order of axes.

    Raises:
        InputError: the file is damaged, or holds other values than whole numbers.
    """
    with open_volume(path) as volume:
        labels = whole_numbers(volume.scaled(volume.stored()), np.int32)
        return labels.reshape(labels.shape[:3])


def read_values(path: Path) -> np.ndarray:
    """Reads a volume `[X, Y, Z]`, in the file's order of axes. Raises InputError if the file is damaged."""
    with open_volume(path) as volume:
        values = volume.scaled(volume.stored())
        return values.reshape(values.shape[:3])


def lies_on(labels: VolumeGrid, image: VolumeGrid) -> bool:
    """Whether the voxels of two files lie at the same places, within a quarter of a voxel, in any order of axes."""
    if sorted(labels.shape) != sorted(image.shape):
        return False
    to_voxel = np.linalg.inv(image.affine)
    own, other = (to_voxel[:3] @ grid.affine @ _corners(grid.shape) for grid in (labels, image))
    apart = np.abs(own[:, :, None] - other[:, None]).max(axis=0)
    return bool(apart.min(axis=1).max() <= SAME_PLACE and apart.min(axis=0).max() <= SAME_PLACE)


def write_labels(path: Path, labels: np.ndarray, grid: VolumeGrid) -> None:
    """Writes labels `[X, Y, Z]`, whole numbers, on a grid, as the smallest of uint8, int16 and int32.

    The file has the header of the grid: affine, codes, units. It is written whole or not at all.

    Raises:
        InputError: the labels do not fit in int32, or the file cannot be written.
        ValueError: labels of another shape than the grid.
    """
    if labels.shape != grid.shape:
        raise ValueError(f"labels {labels.shape} do not fit a grid of {grid.shape} voxels")
    _write(path, smallest_integers(labels, LABEL_TYPES), grid, intent="label")


def write_probabilities(path: Path, probabilities: np.ndarray, grid: VolumeGrid) -> None:
    """Writes probabilities `[L, X, Y, Z]` on a grid as a 4-D volume of float32, one label after the other.

    Raises:
        InputError: the file cannot be written.
        ValueError: probabilities of another shape than the grid.
    """
    if probabilities.shape[1:] != grid.shape:
        raise ValueError(f"probabilities {probabilities.shape} do not fit a grid of {grid.shape} voxels")
    _write(path, np.moveaxis(probabilities, 0, -1).astype(np.float32, copy=False), grid, intent="none")


def write_scan(path: Path, values: np.ndarray, grid: VolumeGrid, affine: np.ndarray | None = None) -> None:
    """Writes an image `[X, Y, Z]` of float32 on a grid, as whole numbers if it has no others.

    Args:
        path: the file. It is written whole or not at all.
        values: the image.
        grid: whose header the file has.
        affine: `[4, 4]` of voxels that are not those of the grid; None: they are.

    Raises:
        InputError: the file cannot be written.
        ValueError: an image of another shape than the grid, without an affine.
    """
    if affine is None and values.shape != grid.shape:
        raise ValueError(f"an image {values.shape} does not fit a grid of {grid.shape} voxels")
    if (values == np.round(values)).all() and np.abs(values).max() <= _LARGEST_WHOLE:
        values = smallest_integers(values.astype(np.int32), LABEL_TYPES)
    if affine is not None:
        grid = _moved(grid, affine)
    _write(path, values, grid, intent="none")


def _moved(grid: VolumeGrid, affine: np.ndarray) -> VolumeGrid:
    """The grid with other voxels in the same world."""
    header = grid.header.copy()
    code = max(int(header["sform_code"]), int(header["qform_code"]))
    header.set_sform(affine, code=int(header["sform_code"]) or code)
    header.set_qform(affine, code=int(header["qform_code"]), strip_shears=True)
    header.set_xyzt_units("mm")
    return VolumeGrid(header, grid.shape, affine)


def _write(path: Path, array: np.ndarray, grid: VolumeGrid, *, intent: str) -> None:
    ending = volume_ending(path)
    image = nifti_or_mgh(array, grid.header, ending, intent=intent, oriented=True)
    with written_whole(path) as temporary, _opened(temporary, ending) as stream:
        image.to_stream(stream)  # volume by volume: less memory than its bytes at once


@contextmanager
def _opened(path: Path, ending: str) -> Iterator[io.IOBase]:
    """Opens a file to write; compressed without its name and time, so that the same result is the same file."""
    with open(path, "wb") as raw:
        if ending not in (".nii.gz", ".mgz"):
            yield raw
            return
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed:
            yield packed


def _corners(shape: tuple[int, ...]) -> np.ndarray:
    """The voxels at the corners, `[4, 8]`."""
    corners = np.indices((2, 2, 2)).reshape(3, 8) * (np.array(shape)[:, None] - 1)
    return np.concatenate([corners, np.ones((1, 8), int)])
