"""Reads a 2-D image from a PNG, TIFF, .npy, .npz, NIfTI or FreeSurfer file, and writes one.

Planes of NIfTI and FreeSurfer files are oriented as in `planes`; all other formats keep the stored orientation.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.files.image_formats import (
    check_content,
    check_finite,
    check_is_file,
    encode_array,
    encode_png,
    encode_tiff,
    read_npy,
    read_npz,
    reading,
    whole_numbers,
)
from neuralizer_jax.files.nifti import NiftiSource, encode_plane, read_plane
from neuralizer_jax.files.planes import SliceChoice
from neuralizer_jax.files.rasters import read_raster

_VOLUMES = (".nii", ".nii.gz", ".mgz", ".mgh")
IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".npy", ".npz", *_VOLUMES)

Kind = Literal["image", "labels"]

# Beyond these, differences of intensities overflow, and integers are rounded in float64.
_LARGEST = 1e300
_LARGEST_EXACT = 2.0**53


@dataclass(frozen=True, eq=False)
class ImageFile:
    """A 2-D image and the file it was read from.

    path: the file.
    pixels: `[H, W]`, or `[H, W, C]` with C = 2 or 3, float32, or float64 where the file's type needs it; int32 `[H, W]`
        for labels.
    source: for NIfTI and FreeSurfer, the place of the image, at which a prediction is written.
    volume: for a plane of a volume, a sample of the volume's voxels `[n]`, which tells its range of intensities.
    """

    path: Path
    pixels: np.ndarray
    source: NiftiSource | None = None
    volume: np.ndarray | None = None


def image_suffix(path: str | os.PathLike[str]) -> str:
    """Returns which of IMAGE_SUFFIXES a file name has, in lower case; empty if it has none.

    >>> image_suffix("scans/sub-01_in.NII.GZ")
    '.nii.gz'
    """
    name = Path(path).name.lower()
    return max((suffix for suffix in IMAGE_SUFFIXES if name.endswith(suffix)), key=len, default="")


def image_stem(path: str | os.PathLike[str]) -> str:
    """Returns the file name without its image suffix.

    >>> image_stem("scans/sub-01_in.nii.gz")
    'sub-01_in'
    """
    name = Path(path).name
    return name[: len(name) - len(image_suffix(path))]


def read_image(path: str | os.PathLike[str], *, slice_: SliceChoice | None = None, labels: bool = False) -> ImageFile:
    """Reads a 2-D image.

    8- and 16-bit PNG and TIFF are scaled to [0, 1]; other formats keep their numbers. Colour becomes grey.

    Args:
        path: the file.
        slice_: the plane of a volume; a 2-D file needs none.
        labels: keep the stored integers: a 0/255 mask stays 0/255, a palette image gives its indices.

    Raises:
        InputError: the file is not one finite image, or with `labels` not a label map; begins with the path.

    Example:
        >>> write_image("mask.png", np.eye(3), None, kind="labels")
        >>> read_image("mask.png", labels=True).pixels
        array([[1, 0, 0],
               [0, 1, 0],
               [0, 0, 1]], dtype=int32)
    """
    path = Path(path)
    suffix = _supported_suffix(path)
    check_is_file(path)
    source, volume, full_scale = None, None, None
    with reading(path):
        check_content(path, suffix)
        if suffix in (".png", ".tif", ".tiff"):
            values, full_scale = read_raster(path, "PNG" if suffix == ".png" else "TIFF", labels=labels)
        elif suffix == ".npy":
            values = read_npy(path)
        elif suffix == ".npz":
            values = read_npz(path)
        else:
            values, source, volume = read_plane(path, slice_)
        pixels = _as_labels(values) if labels else _as_intensities(values, full_scale)
    return ImageFile(path, pixels, source, volume)


def write_image(path: str | os.PathLike[str], pixels: np.ndarray, like: ImageFile | None, *, kind: Kind) -> None:
    """Writes pixels [H, W] as `image_bytes` encodes them, whole or not at all, replacing an existing file.

    Raises:
        InputError, ValueError: as `image_bytes`; or the file cannot be written.
    """
    path = Path(path)
    _supported_suffix(path)
    check_destination(path)
    content = image_bytes(path, pixels, like, kind=kind)
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


def image_bytes(path: str | os.PathLike[str], pixels: np.ndarray, like: ImageFile | None, *, kind: Kind) -> bytes:
    """Encodes pixels in the format of the suffix of `path`, without writing a file.

    Args:
        path: names the format.
        pixels: `[H, W]`.
        like: for NIfTI and FreeSurfer, the image whose place the pixels take: without it, left and right are not known.
        kind: `image`: PNG stores 16-bit grey, clipped to [0, 1]; all other formats float32. `labels`: whole numbers,
            stored unchanged as the smallest integers (PNG and TIFF: 0 to 65535; others: int32).

    Raises:
        InputError: the format cannot hold the values; begins with the path.
        ValueError: pixels that are not [H, W], or in a volume not of the shape of `like`.
    """
    suffix = _supported_suffix(Path(path))
    if np.ndim(pixels) != 2:
        raise ValueError(f"expected pixels [H, W], got the shape {np.shape(pixels)}")
    try:
        values = _as_labels(pixels) if kind == "labels" else _as_float32(pixels)
        return _encode(suffix, values, None if like is None else like.source)
    except InputError as error:
        raise InputError(f"{one_line(path)}: cannot be written: {error}") from error


def _encode(suffix: str, values: np.ndarray, source: NiftiSource | None) -> bytes:
    if suffix in _VOLUMES:
        if source is None:
            raise InputError(f"{suffix} needs the place of a NIfTI target, expected one or .png, .tif or .npy")
        return encode_plane(values, source, suffix)
    if suffix in (".npy", ".npz"):
        return encode_array(values, compressed=suffix == ".npz")
    return encode_png(values) if suffix == ".png" else encode_tiff(values)


def check_destination(path: Path) -> None:
    """Raises InputError where a file cannot be written: it is a folder, or its folder is missing or locked."""
    try:
        if path.is_dir():
            raise InputError(f"{one_line(path)}: is a folder, expected the name of a file to write")
        folder = one_line(path.parent)
        if not path.parent.is_dir():
            raise InputError(f"{one_line(path)}: cannot be written, there is no folder {folder}")
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise InputError(f"{one_line(path)}: cannot be written, no permission to write in the folder {folder}")
    except OSError as error:
        raise InputError(f"{one_line(path)}: cannot be written ({error.strerror or error})") from error


def _supported_suffix(path: Path) -> str:
    suffix = image_suffix(path)
    if not suffix:
        expected = ", ".join(IMAGE_SUFFIXES)
        raise InputError(f"{one_line(path)}: unsupported file type, expected a name that ends in {expected}")
    return suffix


def _as_intensities(values: np.ndarray, full_scale: int | None) -> np.ndarray:
    """Returns a copy of the values in float32, or float64 if float32 cannot hold them, divided by `full_scale`."""
    single = np.can_cast(values.dtype, np.float32) or full_scale is not None
    # A copy: the values may be a view of a mapped file.
    pixels: np.ndarray = np.array(values, np.float32 if single else np.float64, order="C")
    check_finite(pixels)
    largest = np.abs(pixels).max()
    if largest > _LARGEST:
        raise InputError(f"holds values up to {largest:g}, expected at most {_LARGEST:g}")
    if values.dtype.kind in "iu" and largest > _LARGEST_EXACT:
        raise InputError(f"holds integers up to {largest:g}, whose last digits would be lost, expected at most 2^53")
    return pixels if full_scale is None else pixels / np.float32(full_scale)


def _as_float32(pixels: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # values beyond float32 become infinite and are refused
        values = np.ascontiguousarray(pixels, np.float32)
    check_finite(values)
    return values


def _as_labels(values: np.ndarray) -> np.ndarray:
    if np.ndim(values) != 2:
        raise InputError(f"has the shape {np.shape(values)}, expected a mask or label map [H, W]")
    return whole_numbers(np.ascontiguousarray(values), np.int32)
