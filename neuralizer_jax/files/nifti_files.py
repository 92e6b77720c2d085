"""NIfTI files: one plane of a file in, as pixels and where it lies; a prediction out that overlays that plane."""

import contextlib
import gzip
import math
import os
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.image_formats import check_plane_size, smallest_integers
from neuralizer_jax.files.volume_slices import Plane, SliceChoice, locate_plane

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

# A 0.1 mm brain has about 3e9 voxels; a header that claims more than this is damaged or made to exhaust the machine.
MAX_VOXELS = 2**33
_CHUNK = 2**20


@dataclass(frozen=True, eq=False)
class NiftiSource:
    """Where the pixels of an image lie: their plane of the file's array, and a NIfTI header that describes it alone."""

    header: "Nifti1Header"
    plane: Plane


def read_nifti(path: Path, choice: SliceChoice | None, *, compressed: bool) -> tuple[np.ndarray, NiftiSource]:
    """Read an image, or the chosen plane of a volume: values [H, W] with the file's scaling, and where they lie.

    Of a volume the plane is read, not the rest. A compressed file is decompressed to its end all the same, without
    keeping it: its checksum stands there, and a damaged download shows nowhere else.

    Raises:
        InputError: without the path. What nibabel and gzip raise passes too; `image_formats.reading` translates both.
    """
    with gzip.open(path) if compressed else open(path, "rb") as stream, quiet_nibabel():
        image = _image_class(stream).from_stream(stream)
        dtype = image.header.get_data_dtype()
        if dtype.kind not in "iuf":
            raise InputError(f"holds {_kind_in_words(dtype)} voxels: expected one real number a voxel")
        voxels = math.prod(image.shape)
        if voxels > MAX_VOXELS:
            claimed = " x ".join(map(str, image.shape))
            raise InputError(f"claims {claimed} voxels: at most {MAX_VOXELS} are read")
        needed = image.dataobj.offset + voxels * dtype.itemsize
        if not compressed and os.path.getsize(path) < needed:
            raise InputError(f"is truncated: {os.path.getsize(path)} bytes, its header promises {needed}")
        plane = locate_plane(image.shape, image.affine, choice)
        check_plane_size(np.delete((*image.shape, 1)[:3], plane.axis))
        values = plane.to_image(np.asarray(image.dataobj[plane.slicer]))
        if compressed:
            _read_to_end(stream, needed)
        header = image.header.copy()
        if not plane.whole:
            _move_to_plane(header, plane)
    return values, NiftiSource(header, plane)


def encode_nifti(values: np.ndarray, source: NiftiSource, *, compressed: bool) -> bytes:
    """Make the NIfTI file of an image [H, W], float32 or integer labels, that lies where `source` lies.

    A 2-D file comes back in its own shape; a plane of a volume as a volume one voxel thick in the file's own axis
    order. Affine, zooms, units, description and extensions are the source's; the values are stored as they are,
    float32 or the smallest integers that hold them; scaling, display range and intent of the source are dropped.

    Raises:
        InputError: without the path, for labels outside int32.
        ValueError: values of another shape than the plane's.
    """
    import nibabel

    labels = values.dtype.kind in "iu"
    if labels:
        values = smallest_integers(values, (np.uint8, np.int16, np.int32))
    header = source.header.copy()
    header.set_data_dtype(values.dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    header.set_intent("label" if labels else "none")
    image_class = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    # Without an affine of its own the image leaves the header's qform and sform, and their codes, as they are.
    with quiet_nibabel():
        content = image_class(source.plane.to_array(values), None, header).to_bytes()
    return gzip.compress(content, compresslevel=6, mtime=0) if compressed else content


def _move_to_plane(header: "Nifti1Header", plane: Plane) -> None:
    """Let the header of a volume describe one plane of it: same grid, origin moved along the fixed axis."""
    from nibabel.spatialimages import HeaderDataError

    affine = header.get_best_affine()  # before the shape changes: without qform and sform it depends on it
    header.set_data_shape([1 if a == plane.axis else n for a, n in enumerate(plane.shape[:3])])
    sform, sform_code = header.get_sform(coded=True)
    try:
        qform, qform_code = header.get_qform(coded=True)
    except (ValueError, HeaderDataError):  # no rotation; where a valid sform stands beside it, that is what counts
        qform_code = header["qform_code"] = 0
    if qform_code:
        for name, step in zip(("qoffset_x", "qoffset_y", "qoffset_z"), qform[:3, plane.axis], strict=True):
            header[name] += step * plane.index
    if sform_code:
        for name, step in zip(("srow_x", "srow_y", "srow_z"), sform[:3, plane.axis], strict=True):
            header[name][3] += step * plane.index
    if not qform_code and not sform_code:
        affine[:3, 3] += affine[:3, plane.axis] * plane.index
        header.set_sform(affine, code="aligned")
    # The acquisition order of the slices says nothing about one of them.
    for name in ("slice_start", "slice_end", "slice_code", "slice_duration"):
        header[name] = 0


def _image_class(stream: IO[bytes]) -> type:
    """Nifti1Image or Nifti2Image, by the header's length field; the stream is left at its start."""
    import nibabel

    start = stream.read(4)
    stream.seek(0)
    classes = {348: nibabel.Nifti1Image, 540: nibabel.Nifti2Image}
    for order in "<>":
        size = struct.unpack(f"{order}i", start)[0] if len(start) == 4 else 0
        if size in classes:
            return classes[size]
    raise InputError("is not a NIfTI file, although its name says so")


def _read_to_end(stream: IO[bytes], needed: int) -> None:
    """Read the rest of a gzip stream, which checks its checksum; raise when it holds fewer than `needed` bytes."""
    position = stream.tell()
    while chunk := stream.read(_CHUNK):
        position += len(chunk)
        if position > needed + _CHUNK:  # endless padding is not ours to read
            return
    if position < needed:
        raise InputError(f"is truncated: {position} bytes after decompression, its header promises {needed}")


def _kind_in_words(dtype: np.dtype) -> str:
    return {"c": "complex", "V": "colour (RGB)"}.get(dtype.kind, str(dtype))


@contextlib.contextmanager
def quiet_nibabel() -> Iterator[None]:
    """Keep nibabel from printing what it repairs in a header (its own suppressor loses the handlers for good)."""
    from nibabel import imageglobals

    before = imageglobals.logger.disabled
    imageglobals.logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        imageglobals.logger.disabled = before
