"""Whole volumes from NIfTI and FreeSurfer files: voxels in RAS order and where they lie, or one line that says why not.

Beyond what nibabel does, a file's claims are checked before memory is taken, left and right have to be known, and a
compressed file is read to its end, where its checksum stands.
"""

import gzip
import math
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import nibabel as nib
import numpy as np
from nibabel.spatialimages import SpatialImage

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.image_formats import one_line, reading
from neuralizer_jax.files.nifti_files import quiet_nibabel

ENDINGS = (".nii.gz", ".nii", ".mgz", ".mgh")
_COMPRESSED = (".nii.gz", ".mgz")

# 640 x 640 x 640; a header that claims more is damaged or not of a head.
MAX_VOXELS = 2**28

_CHUNK = 2**20

# How a FreeSurfer volume begins: version, four lengths, type, degrees of freedom, goodRASFlag.
_MGH_START = struct.Struct(">7ih")
_MGH_VERSION = b"\x00\x00\x00\x01"

# Volume of a voxel relative to that of a box with its edges: 1 for a box, 0 where its axes lie in a plane.
_MIN_VOLUME = 1e-3

# What a scale factor in the header leaves of a whole number differs from it by this, relative to the number.
_WHOLE = 1e-6


def read_volume(path: Path, *, labels: bool = False, grid_of: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """A volume in the axis order closest to RAS, and its affine.

    Args:
        path: a file with one of `ENDINGS`.
        labels: whether the values are labels: whole numbers from 0 to 65535, whatever type they are stored in.
        grid_of: the file of the same shape whose place in the world the volume takes, whatever its own header says.

    Returns:
        `[X, Y, Z]`, float32 with the file's scaling or uint16 for labels; and `[4, 4]` float64, voxel -> world in mm
        (RAS).

    Raises:
        InputError: one line that begins with the path, for whatever keeps the file from being one finite image that is
            not constant, or a label map (it may be empty, as of a subject without lesions), in a known place; for a
            `grid_of` of another shape.
    """
    if grid_of is not None:
        with _opened(grid_of) as (other, _):
            shape, affine = other.shape[:3], other.affine
    with _opened(path, placed=grid_of is None) as (image, stream):
        if grid_of is None:
            affine = image.affine
        elif image.shape[:3] != shape:
            raise InputError(f"has {_size(image.shape)} voxels, expected {_size(shape)} as {one_line(grid_of)}")
        # Scaled here: nibabel does it in float64, which takes twice the memory.
        values = image.dataobj.get_unscaled().astype(np.float32).reshape(image.shape[:3])
        values *= np.float32(image.dataobj.slope)
        values += np.float32(image.dataobj.inter)
        while stream.read(_CHUNK):  # to the checksum at the end of a compressed file
            pass
        if bad := values.size - np.count_nonzero(np.isfinite(values)):
            raise InputError(f"{bad} of {values.size} voxels are NaN or infinite, expected finite numbers")
        if labels:
            values = _as_labels(values)
        elif values.min() == values.max():
            raise InputError(f"is constant (all voxels are {values.flat[0]:g}), expected an image")
    canonical = nib.as_closest_canonical(nib.Nifti1Image(values, affine))
    return np.array(canonical.dataobj, order="C"), canonical.affine


def volume_ending(path: Path) -> str:
    """The one of `ENDINGS` that a file's name has, in capitals too; empty where it has none."""
    return next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), "")


@contextmanager
def _opened(path: Path, *, placed: bool = True) -> Iterator[tuple[SpatialImage, IO[bytes]]]:
    """A file's image, of which only the header is read and checked, and its stream; errors inside name the file.

    Args:
        path: the file.
        placed: whether its header has to say where it lies.
    """
    with reading(path), quiet_nibabel():
        ending = volume_ending(path)
        if not ending:
            raise InputError(f"unsupported file type, expected a name that ends in {', '.join(ENDINGS)}")
        if path.exists() and not path.is_file():
            raise InputError(f"is {'a folder' if path.is_dir() else 'not a regular file'}, expected a volume")
        with _Decompressed(path) if ending in _COMPRESSED else open(path, "rb") as stream:
            image, oriented = _nifti(stream) if ending.startswith(".nii") else _mgh(stream)
            if placed:
                _check_place(image.affine, oriented)
            needed = image.dataobj.offset + math.prod(image.shape) * image.get_data_dtype().itemsize
            if ending not in _COMPRESSED and os.path.getsize(path) < needed:
                raise InputError(f"is truncated: {os.path.getsize(path)} bytes, its header promises {needed}")
            yield image, stream


class _Decompressed(gzip.GzipFile):
    """A compressed file that is read into an array in pieces: Python takes two arrays more for it, from 3.12 on."""

    def readinto(self, buffer) -> int:
        view, start = memoryview(buffer).cast("B"), 0
        while piece := self.read(min(_CHUNK, len(view) - start)):
            view[start : start + len(piece)] = piece
            start += len(piece)
        return start


def _nifti(stream: IO[bytes]) -> tuple[nib.Nifti1Image, bool]:
    """The image of a NIfTI-1 or -2 stream, and whether its header says how it is oriented."""
    start = stream.read(nib.Nifti2Header.sizeof_hdr)
    stream.seek(0)
    classes = [c for c in (nib.Nifti1Image, nib.Nifti2Image) if c.header_class.may_contain_header(start)]
    if not classes:
        raise InputError("is not a NIfTI file, although its name says so")
    image = classes[0].from_stream(stream)
    dtype = image.get_data_dtype()
    if dtype.kind not in "iuf":
        kind = {"c": "complex", "V": "colour (RGB)"}.get(dtype.kind, str(dtype))
        raise InputError(f"holds {kind} voxels, expected one real number a voxel")
    _check_shape(image.shape)
    return image, bool(image.header["sform_code"] or image.header["qform_code"])


def _mgh(stream: IO[bytes]) -> tuple[nib.MGHImage, bool]:
    """As `_nifti`, of a FreeSurfer stream. The shape is checked first, as nibabel skips to the footer at once."""
    start = stream.read(_MGH_START.size)
    stream.seek(0)
    if len(start) < _MGH_START.size or start[:4] != _MGH_VERSION:
        raise InputError("is not a FreeSurfer volume, although its name says so")
    _, *shape, _, _, oriented = _MGH_START.unpack(start)
    _check_shape(shape)
    return nib.MGHImage.from_stream(stream), bool(oriented)


def _check_shape(shape: Sequence[int]) -> None:
    shape = [int(length) for length in shape]
    volumes = math.prod(shape[3:])
    if min(shape, default=0) < 1:
        raise InputError(f"claims {_size(shape)} voxels, expected at least one along each axis")
    if volumes > 1:
        raise InputError(f"holds {volumes} volumes of {_size(shape[:3])} voxels, expected one")
    if len(shape) < 3 or 1 in shape[:3]:
        raise InputError(f"is a plane of {_size(shape[:3])} voxels, expected a volume")
    if math.prod(shape) > MAX_VOXELS:
        raise InputError(f"claims {_size(shape[:3])} voxels, expected at most {MAX_VOXELS} in all")


def _size(shape: Sequence[int]) -> str:
    return " x ".join(str(length) for length in shape)


def _check_place(affine: np.ndarray, oriented: bool) -> None:
    if not oriented:
        raise InputError(
            "left and right cannot be known, as its header gives no orientation (NIfTI: sform and qform code are 0;"
            " FreeSurfer: goodRASFlag is 0), expected one"
        )
    if not np.isfinite(affine).all():
        raise InputError("its affine holds NaN or infinity, expected finite numbers")
    linear = affine[:3, :3]
    if abs(np.linalg.det(linear)) <= _MIN_VOLUME * np.linalg.norm(linear, axis=0).prod():
        raise InputError("its affine is singular, expected voxels with a size along three directions")


def _as_labels(values: np.ndarray) -> np.ndarray:
    """Finite values as uint16; a plane at a time, as the temporary copies are of float32."""
    labels = np.empty_like(values, np.uint16)
    for index in range(values.shape[2]):
        plane = values[..., index]
        whole = np.rint(plane)
        fraction = np.abs(plane - whole) > _WHOLE * np.maximum(1, np.abs(plane))
        wrong = fraction | (whole < 0) | (whole > np.iinfo(np.uint16).max)
        if wrong.any():
            raise InputError(f"holds the value {plane[wrong][0]:g}, expected labels: whole numbers from 0 to 65535")
        labels[..., index] = whole
    return labels
