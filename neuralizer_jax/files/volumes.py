"""The reader of NIfTI and FreeSurfer volumes: headers are checked before memory is taken, files are read to their end.

`read_volume` returns a whole volume in RAS order, for datasets. `nifti.read_plane` returns one plane, for predictions.
"""

import gzip
import io
import math
import os
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.endings import ENDINGS, volume_ending
from neuralizer_jax.files.image_formats import check_content, check_finite, check_is_file, reading, whole_numbers
from neuralizer_jax.files.planes import axis_directions

if TYPE_CHECKING:
    import nibabel as nib
    from nibabel.arrayproxy import ArrayProxy

# 812 x 812 x 812, a head at a quarter of a millimetre. A header that claims more is damaged.
MAX_VOXELS = 2**29

NO_ORIENTATION = "its header gives no orientation (NIfTI: sform and qform code are 0; FreeSurfer: goodRASFlag is 0)"

_CHUNK = 2**20

# Codes of `xyzt_units` in a NIfTI header: metre and micron. All others are taken for mm.
_MM = {1: 1000.0, 3: 0.001}

# Start of a FreeSurfer volume: version, four lengths, type, degrees of freedom, goodRASFlag.
_MGH_START = struct.Struct(">7ih")
_MGH_VERSION = b"\x00\x00\x00\x01"


@dataclass(frozen=True, eq=False)
class OpenVolume:
    """An open file with one image or volume, whose header has been read and checked.

    image: the nibabel image, for its header and shape; its voxels have not been read.
    code: the kind of space that the affine leads to, as in NIfTI: 0: unknown; 1: the scanner's; 2 and more: one that is
        shared with other files, such as MNI.
    """

    image: "nib.Nifti1Image | nib.Nifti2Image | nib.MGHImage"
    code: int
    stream: io.BufferedIOBase

    @property
    def oriented(self) -> bool:
        """The header says where left and right are."""
        return self.code > 0

    @property
    def affine(self) -> np.ndarray:
        """`[4, 4]`, voxel to RAS mm, where the header's unit is metres or microns too. (nibabel ignores the unit.)"""
        return affine_in_mm(self.image.header, self.image.affine)

    @property
    def proxy(self) -> "ArrayProxy":
        """The voxels on disk, with `slope` and `inter` to scale them."""
        return cast("ArrayProxy", self.image.dataobj)

    def stored(self) -> np.ndarray:
        """Reads all voxels in the file's type and axis order, unscaled, and a compressed file to its checksum."""
        voxels = np.asarray(self.proxy.get_unscaled())
        end = self.stream.tell() + 2 * _CHUNK  # padding is not read forever
        while self.stream.tell() < end and self.stream.read(_CHUNK):
            pass
        return voxels

    def scaled(self, voxels: np.ndarray) -> np.ndarray:
        """Applies the header's scaling, in float64; without one the type is kept."""
        slope, inter = self.proxy.slope, self.proxy.inter
        return voxels if (slope, inter) == (1, 0) else voxels * np.float64(slope) + np.float64(inter)


def affine_in_mm(header: "nib.Nifti1Header | nib.freesurfer.mghformat.MGHHeader", affine: np.ndarray) -> np.ndarray:
    """Converts an affine in the header's unit to mm."""
    unit = int(header["xyzt_units"]) & 7 if "xyzt_units" in header else 0
    return np.diag([*3 * [_MM.get(unit, 1.0)], 1.0]) @ affine


@contextmanager
def open_volume(path: Path) -> Iterator[OpenVolume]:
    """Opens a file with one of `ENDINGS`; errors inside the block name the file.

    Raises:
        InputError: no such file, another format, voxels that are not real numbers, several volumes, too many voxels, or
            an uncompressed file that is too short.
    """
    check_is_file(path)
    with reading(path), _quiet_nibabel():
        ending = volume_ending(path)
        if not ending:
            raise InputError(f"unsupported file type, expected a name that ends in {', '.join(ENDINGS)}")
        check_content(path, ending)
        compressed = ending in (".nii.gz", ".mgz")
        with _Decompressed(path) if compressed else open(path, "rb") as stream:
            volume = _open_nifti(stream) if ending.startswith(".nii") else _open_mgh(stream)
            shape, size = volume.image.shape, os.path.getsize(path)
            needed = volume.proxy.offset + math.prod(shape) * volume.image.get_data_dtype().itemsize
            if not compressed and size < needed:
                raise InputError(f"is truncated: {size} bytes, its header promises {needed}")
            yield volume


def read_volume(path: Path, *, labels: bool = False, grid_of: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Reads a volume and reorders its axes to the closest RAS order.

    Args:
        path: a file with one of `ENDINGS`.
        labels: the values are labels: whole numbers from 0 to 65535, of any type.
        grid_of: a file of the same shape whose affine replaces that of `path`.

    Returns:
        The voxels `[X, Y, Z]`, scaled float32, or uint16 for labels; and the affine `[4, 4]`, float64, voxel to RAS mm.

    Raises:
        InputError: the file is not one finite, non-constant image with a known orientation, or not a label map (which
            may be empty); or `grid_of` has another shape.
    """
    if grid_of is not None:
        with open_volume(grid_of) as other:
            shape, affine = other.image.shape[:3], _known_affine(other)
    with open_volume(path) as volume:
        if grid_of is None:
            affine = _known_affine(volume)
        elif volume.image.shape[:3] != shape:
            raise InputError(f"has {_size(volume.image.shape)} voxels, expected {_size(shape)} as {one_line(grid_of)}")
        lengths = volume.image.shape[:3]
        if len(lengths) < 3 or 1 in lengths:
            raise InputError(f"is a plane of {_size(lengths)} voxels, expected a volume")
        # nibabel would scale in float64, with twice the memory.
        values: np.ndarray = volume.stored().astype(np.float32).reshape(lengths)
        values *= np.float32(volume.proxy.slope)
        values += np.float32(volume.proxy.inter)
        check_finite(values)
        if labels:  # plane by plane, to save memory
            integers: np.ndarray = np.empty_like(values, np.uint16)
            for index in range(lengths[2]):
                integers[..., index] = whole_numbers(values[..., index], np.uint16)
            values = integers
        elif values.min() == values.max():
            raise InputError(f"is constant (all voxels are {values.flat[0]:g}), expected an image")
    import nibabel as nib

    canonical = nib.as_closest_canonical(nib.Nifti1Image(values, affine))
    return np.array(canonical.dataobj, order="C"), canonical.affine


class _Decompressed(gzip.GzipFile):
    """A gzip file that fills an array in pieces. Since Python 3.12 `readinto` takes two more arrays of its size."""

    def readinto(self, buffer) -> int:
        view, start = memoryview(buffer).cast("B"), 0
        while piece := self.read(min(_CHUNK, len(view) - start)):
            view[start : start + len(piece)] = piece
            start += len(piece)
        return start


def _open_nifti(stream: io.BufferedIOBase) -> OpenVolume:
    import nibabel as nib

    start = stream.read(nib.Nifti2Header.sizeof_hdr)
    stream.seek(0)
    for image_class in (nib.Nifti1Image, nib.Nifti2Image):
        if image_class.header_class.may_contain_header(start):
            image = image_class.from_stream(stream)
            break
    else:
        raise InputError("is not a NIfTI file, although its name says so")
    dtype = image.get_data_dtype()
    if dtype.kind not in "iuf":
        kind = {"c": "complex", "V": "colour (RGB)"}.get(dtype.kind, str(dtype))
        raise InputError(f"holds {kind} voxels, expected one real number a voxel")
    _check_shape(image.shape)
    return OpenVolume(image, int(image.header["sform_code"] or image.header["qform_code"]), stream)


def _open_mgh(stream: io.BufferedIOBase) -> OpenVolume:
    import nibabel as nib

    start = stream.read(_MGH_START.size)
    stream.seek(0)
    if len(start) < _MGH_START.size or start[:4] != _MGH_VERSION:
        raise InputError("is not a FreeSurfer volume, although its name says so")
    _, *shape, _, _, good_ras = _MGH_START.unpack(start)
    _check_shape(shape)  # before nibabel, which skips to the footer
    return OpenVolume(nib.MGHImage.from_stream(stream), int(good_ras != 0), stream)


def _check_shape(shape: Sequence[int]) -> None:
    shape = [int(length) for length in shape]
    volumes = math.prod(shape[3:])
    if len(shape) < 2 or min(shape) < 1:
        raise InputError(f"claims {_size(shape)} voxels, expected at least one along two or three axes")
    if volumes > 1:
        raise InputError(f"holds {volumes} volumes of {_size(shape[:3])} voxels, expected one")
    if math.prod(shape) > MAX_VOXELS:
        raise InputError(f"claims {_size(shape[:3])} voxels, expected at most {MAX_VOXELS} in all")


def _size(shape: Sequence[int]) -> str:
    return " x ".join(str(length) for length in shape)


def _known_affine(volume: OpenVolume) -> np.ndarray:
    """Returns the affine of a volume whose header says where left and right are."""
    if not volume.oriented:
        raise InputError(f"left and right cannot be known, as {NO_ORIENTATION}, expected one")
    axis_directions(volume.affine)  # raises if it has none
    return volume.affine


@contextmanager
def _quiet_nibabel() -> Iterator[None]:
    """Silences what nibabel prints about header repairs. (Its own suppressor loses the log handlers for good.)"""
    from nibabel import imageglobals

    before = imageglobals.logger.disabled
    imageglobals.logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        imageglobals.logger.disabled = before
