"""One 2-D image from a file, and one written like it: PNG, TIFF, .npy, .npz and NIfTI.

In: the path of an image or of a volume with the choice of a plane. Out: an `ImageFile` with pixels [H, W(, C)],
oriented as `volume_slices` describes for NIfTI and as stored for every other format. And back: pixels [H, W] in, a
file out, complete or not there at all.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.files.image_formats import (
    encode_npy,
    encode_npz,
    encode_png,
    encode_tiff,
    one_line,
    read_npy,
    read_npz,
    read_raster,
    reading,
)
from neuralizer_jax.files.nifti_files import NiftiSource, encode_nifti, read_nifti
from neuralizer_jax.files.volume_slices import SliceChoice

IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".npy", ".npz", ".nii", ".nii.gz")

# Scaled integers carry the rounding of a float32 scale factor.
_INTEGER_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class ImageFile:
    """A 2-D image as read from a file.

    path: the file.
    pixels: [H, W] or [H, W, C] with C of 2 or 3, float32; [H, W], int32 where it was read as labels.
    unit_range: the format itself puts the intensities in [0, 1] (8- and 16-bit PNG and TIFF); False where the numbers
        are the file's own. Always False for labels.
    source: where the pixels lie in the world, to write a prediction that overlays them; None except for NIfTI.
    """

    path: Path
    pixels: np.ndarray
    unit_range: bool
    source: NiftiSource | None


def image_suffix(path: str | os.PathLike[str]) -> str:
    """Tell the image suffix of a file name, lower case, one of IMAGE_SUFFIXES; empty if it has none of them."""
    name = Path(path).name.lower()
    return max((suffix for suffix in IMAGE_SUFFIXES if name.endswith(suffix)), key=len, default="")


def image_stem(path: str | os.PathLike[str]) -> str:
    """Tell the file name without its image suffix: `sub-01_in` for `scans/sub-01_in.nii.gz`."""
    name = Path(path).name
    return name[: len(name) - len(image_suffix(path))]


def read_image(path: str | os.PathLike[str], *, slice_: SliceChoice | None = None, labels: bool = False) -> ImageFile:
    """Read one 2-D image.

    8- and 16-bit PNG and TIFF give intensities in [0, 1]; every other format its own numbers. Colour is read as grey.
    With `labels` the stored integers are kept (a 0/255 mask stays 0/255, a palette gives its indices). `slice_`
    chooses the plane of a NIfTI volume; a file that is 2-D already is read as it is.

    Raises:
        InputError: one line that begins with the path, for whatever keeps the file from being one finite image, or
            from being a label map where `labels` asks for one.
    """
    path = Path(path)
    suffix = _supported_suffix(path)
    _check_is_file(path)
    source, full_scale = None, None
    with reading(path):
        if suffix == ".png":
            values, full_scale = read_raster(path, "PNG", labels=labels)
        elif suffix in (".tif", ".tiff"):
            values, full_scale = read_raster(path, "TIFF", labels=labels)
        elif suffix == ".npy":
            values = read_npy(path)
        elif suffix == ".npz":
            values = read_npz(path)
        else:
            values, source = read_nifti(path, slice_, compressed=suffix == ".nii.gz")
        if labels:
            pixels, unit_range = _as_labels(values), False
        else:
            pixels, unit_range = _as_intensities(values, full_scale), full_scale is not None
    return ImageFile(path, pixels, unit_range, source)


def write_image(
    path: str | os.PathLike[str],
    pixels: np.ndarray,
    like: ImageFile | None,
    *,
    kind: Literal["image", "probability", "labels"],
) -> None:
    """Write pixels [H, W] in the format that the suffix of `path` names, replacing a file of that name.

    The file appears complete or not at all. What it holds is described at `image_bytes`.

    Raises:
        InputError: one line that begins with the path, when it cannot be written or its format cannot hold the values.
        ValueError: pixels that are not [H, W], or for NIfTI not of `like`'s shape.
    """
    path = Path(path)
    _supported_suffix(path)
    _check_destination(path)
    content = image_bytes(path, pixels, like, kind=kind)
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


def image_bytes(
    path: str | os.PathLike[str],
    pixels: np.ndarray,
    like: ImageFile | None,
    *,
    kind: Literal["image", "probability", "labels"],
) -> bytes:
    """Make the file that `write_image` writes to `path`, and write nothing.

    image, probability: PNG gets 16-bit grey of the values clipped to [0, 1]; all other formats float32 as they are.
    labels: whole numbers, stored as they are in the smallest integers of the format (PNG and TIFF: 0 to 65535; .npy,
    .npz and NIfTI: int32). NIfTI needs a `like` read from NIfTI, whose place in the world the output takes: nothing
    else knows left from right.

    Raises:
        InputError: one line that begins with the path, when its format cannot hold the values.
        ValueError: pixels that are not [H, W], or for NIfTI not of `like`'s shape.
    """
    suffix = _supported_suffix(Path(path))
    if np.ndim(pixels) != 2:
        raise ValueError(f"expected pixels [H, W], got the shape {np.shape(pixels)}")
    try:
        values = _as_labels(pixels) if kind == "labels" else _as_intensities(pixels, None)
        return _encode(suffix, values, None if like is None else like.source)
    except InputError as error:
        raise InputError(f"{one_line(path)}: cannot be written: {error}") from error


def _encode(suffix: str, values: np.ndarray, source: NiftiSource | None) -> bytes:
    """The bytes of the file with this suffix that holds float32 intensities or int32 labels [H, W]."""
    if suffix in (".nii", ".nii.gz"):
        if source is None:
            raise InputError("a NIfTI output needs a NIfTI target to lie on; use .png, .tif or .npy")
        return encode_nifti(values, source, compressed=suffix == ".nii.gz")
    encoders = {".png": encode_png, ".tif": encode_tiff, ".tiff": encode_tiff, ".npy": encode_npy, ".npz": encode_npz}
    return encoders[suffix](values)


def _check_destination(path: Path) -> None:
    try:
        if path.is_dir():
            raise InputError(f"{one_line(path)}: is a folder, expected the name of a file to write")
        if not path.parent.is_dir():
            raise InputError(f"{one_line(path)}: cannot be written, there is no folder {one_line(path.parent)}")
    except OSError as error:
        raise InputError(f"{one_line(path)}: cannot be written ({error.strerror or error})") from error


def _supported_suffix(path: Path) -> str:
    suffix = image_suffix(path)
    if not suffix:
        expected = ", ".join(IMAGE_SUFFIXES)
        raise InputError(f"{one_line(path)}: unsupported file type, expected a name that ends in {expected}")
    return suffix


def _check_is_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise InputError(f"{one_line(path)}: is a folder, expected an image file")
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{one_line(path)}: cannot be opened ({error.strerror or error})") from error
    if not path.is_file():  # a pipe or a device may never end
        raise InputError(f"{one_line(path)}: is not a regular file")
    if size == 0:
        raise InputError(f"{one_line(path)}: is empty (0 bytes), expected an image")


def _check_finite(values: np.ndarray) -> None:
    bad = values.size - int(np.isfinite(values).sum())
    if bad:
        raise InputError(f"{bad} of {values.size} values are NaN or infinite: expected finite numbers")


def _as_intensities(values: np.ndarray, full_scale: int | None) -> np.ndarray:
    """Float32 copy of the values, divided by `full_scale` where there is one."""
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is refused as such
        pixels = np.asarray(values).astype(np.float32) if full_scale is None else values / np.float32(full_scale)
    _check_finite(pixels)
    return np.ascontiguousarray(pixels, np.float32)


def _as_labels(values: np.ndarray) -> np.ndarray:
    """Int32 copy of values that are whole numbers."""
    values = np.asarray(values)
    if values.ndim != 2:
        raise InputError(f"has the shape {values.shape}, not a mask or label map: expected [H, W]")
    if values.dtype.kind == "f":
        _check_finite(values)
        whole = np.rint(values)
        fractional = np.abs(values - whole) > _INTEGER_TOLERANCE * np.maximum(1, np.abs(values))
        if fractional.any():
            value = float(values[fractional][0])
            raise InputError(f"holds the value {value:g}, so it is not a mask or label map: expected whole numbers")
        values = whole
    limits = np.iinfo(np.int32)
    if values.min() < limits.min or values.max() > limits.max:
        raise InputError(f"labels run from {values.min()} to {values.max()}: expected {limits.min} to {limits.max}")
    return np.ascontiguousarray(values, np.int32)
