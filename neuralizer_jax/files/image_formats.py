"""Codecs of .npy and .npz, encoders of PNG and TIFF, and the checks that all formats share.

The codecs raise InputError without the file's name, or let a library's exception rise: `reading` adds the path and
translates the exception. PNG and TIFF are decoded in `rasters`, NIfTI is in `nifti`.
"""

import colorsys
import contextlib
import functools
import io
import math
import os
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from neuralizer_jax.errors import InputError, machine_fault, one_line

# 8192 x 8192, far beyond what the model's memory allows.
MAX_PIXELS = 2**26
_ROUNDING = 1e-6

# How files begin that people give another suffix. NIfTI has its mark at byte 344, DICOM at byte 128.
_BEGINNINGS = {
    b"\x89PNG": "a PNG image",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"II+\0": "a TIFF image",
    b"MM\0+": "a TIFF image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"BM": "a BMP image",
    b"\x93NUMPY": "a NumPy array",
    b"PK": "a zip archive",
    b"\x1f\x8b": "a gzip file",
    b"\x89HDF": "an HDF5 file",
    b"NRRD": "an NRRD file",
    b"ObjectType": "a MetaImage file",
    b"%PDF": "a PDF file",
    b"<": "a web page or XML file",
    b"{": "a JSON file",
    b"version https://git-lfs": "a Git LFS pointer, whose content was not downloaded",
    b"/annex/objects": "a git-annex pointer, whose content was not downloaded",
    b"\x00\x00\x00\x01\x00\x00": "a FreeSurfer volume",
}
_EXPECTED_CONTENT = {
    ".png": "a PNG image",
    ".tif": "a TIFF image",
    ".tiff": "a TIFF image",
    ".npy": "a NumPy array",
    ".npz": "a zip archive",
    ".nii": "a NIfTI file",
    ".nii.gz": "a gzip file",
    ".mgh": "a FreeSurfer volume",
    ".mgz": "a gzip file",
}


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns any exception of a decoder into an InputError that begins with `path`, and silences warnings.

    Raises:
        InputError: the file is damaged, missing or may not be read.
        OSError: the machine is at fault (`errors.machine_fault`).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError as error:
        beginning = f"{one_line(path)}: "  # once, however many readers wrap one another
        raise InputError(beginning + str(error).removeprefix(beginning)) from error
    except Exception as error:  # damaged files make libraries raise nearly anything
        if fault := machine_fault(error, path):
            raise fault from error
        if isinstance(error, OSError) and error.strerror:  # from the file system
            raise InputError(f"{one_line(path)}: cannot be read ({error.strerror})") from error
        reason = f"{type(error).__name__}: {error}"
        raise InputError(
            f"{one_line(path)}: cannot be read, damaged or not what its name says ({one_line(reason)})"
        ) from error


def check_is_file(path: Path) -> None:
    """Raises InputError unless `path` is a regular file that is not empty, and OSError as `reading` does."""
    try:
        if path.is_dir():
            raise InputError(f"{one_line(path)}: is a folder, expected an image file")
        size = path.stat().st_size
    except OSError as error:
        if fault := machine_fault(error, path):
            raise fault from error
        raise InputError(f"{one_line(path)}: cannot be opened ({error.strerror or error})") from error
    if not path.is_file():  # a pipe or device may never end
        raise InputError(f"{one_line(path)}: is not a regular file, expected an image file")
    if size == 0:
        raise InputError(f"{one_line(path)}: is empty (0 bytes), expected an image file")


def check_content(path: Path, suffix: str) -> None:
    """Raises InputError, without the path, if the file is of another kind than its suffix says."""
    with open(path, "rb") as stream:
        start = stream.read(352)
    found = next((kind for beginning, kind in _BEGINNINGS.items() if start.startswith(beginning)), None)
    if start[344:347] in (b"n+1", b"ni1"):
        found = "a NIfTI file"
    elif start[128:132] == b"DICM":
        found = "a DICOM file"
    expected = _EXPECTED_CONTENT[suffix]
    if found and found != expected:
        raise InputError(f"is {found}, not {expected} as its name says")
    if found is None and suffix not in (".nii", ".mgh"):
        raise InputError(f"is not {expected}, although its name says so")


def check_plane_size(shape: Sequence[int]) -> None:
    """Raises InputError for an image [H, W] without pixels or with more than MAX_PIXELS."""
    if not 0 < math.prod(map(int, shape)) <= MAX_PIXELS:
        size = " x ".join(map(str, shape))
        raise InputError(f"claims an image of {size} pixels, expected at least 1 and at most {MAX_PIXELS}")


def check_finite(values: np.ndarray) -> None:
    """Raises InputError for NaN and infinity."""
    if bad := values.size - np.count_nonzero(np.isfinite(values)):
        raise InputError(f"{bad} of {values.size} values are NaN or infinite, expected finite numbers")


def whole_numbers(values: np.ndarray, dtype: type[np.integer]) -> np.ndarray:
    """Converts masks and label maps of any type to integers, with the rounding of a header's float32 factor.

    Raises:
        InputError: a value is not finite, not whole or outside `dtype`.

    Example:
        >>> whole_numbers(np.array([0, 17.0000001]), np.uint16)
        array([ 0, 17], dtype=uint16)
    """
    limits, whole, fraction = np.iinfo(dtype), values, False
    if values.dtype.kind == "f":
        check_finite(values)
        exact = values.astype(np.float64)
        whole = np.rint(exact)
        fraction = np.abs(exact - whole) > _ROUNDING * np.maximum(1, np.abs(exact))
    wrong = fraction | (whole < limits.min) | (whole > limits.max)
    if wrong.any():
        expected = f"expected a mask or label map with whole numbers from {limits.min} to {limits.max}"
        raise InputError(f"holds the value {values[wrong][0]}, {expected}")
    return whole.astype(dtype)


def smallest_integers(labels: np.ndarray, dtypes: Sequence[type[np.integer]]) -> np.ndarray:
    """Converts integers to the first of `dtypes` that holds them all.

    Raises:
        InputError: none does.

    Example:
        >>> smallest_integers(np.array([0, 2035]), (np.uint8, np.uint16)).dtype
        dtype('uint16')
    """
    low, high = int(labels.min()), int(labels.max())
    for dtype in dtypes:
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return labels.astype(dtype)
    widest = np.iinfo(dtypes[-1])
    raise InputError(
        f"labels run from {low} to {high}, expected {widest.min} to {widest.max} in this format, or .nii.gz or .npy"
    )


def read_npy(path: Path) -> np.ndarray:
    """Reads the array [H, W] or [H, W, C] of a .npy file. Pickled objects are refused."""
    with open(path, "rb") as stream:
        return _read_array(stream, os.path.getsize(path))


def read_npz(path: Path) -> np.ndarray:
    """Reads the only array of a .npz file, or the one named `image`. Pickled objects are refused."""
    with zipfile.ZipFile(path) as archive:
        files = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        members = {info.filename.removesuffix(".npy"): info for info in files}
        if len(members) != 1 and "image" not in members:
            names = ", ".join(sorted(members)[:5]) or "none"
            raise InputError(f"holds the arrays {one_line(names)}, expected one array, or one named image")
        info = members["image"] if "image" in members else next(iter(members.values()))
        with archive.open(info) as stream:
            return _read_array(stream, info.file_size)


def _read_array(stream: IO[bytes], size: int) -> np.ndarray:
    """Reads an array in npy format from a stream of `size` bytes; the header is checked before memory is taken."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise InputError(f"is in npy format {version[0]}.{version[1]}, expected 1.0 or 2.0")
    if dtype.kind not in "biuf":
        raise InputError(f"holds an array of {one_line(dtype)}, expected real numbers")
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 2, 3)):
        raise InputError(f"holds an array of shape {shape}, expected [H, W], or [H, W, C] with 1 to 3 channels")
    check_plane_size(shape[:2])
    needed = stream.tell() + math.prod(shape) * dtype.itemsize
    if size < needed:
        raise InputError(f"is truncated: {size} bytes, its header promises {needed}")
    stream.seek(0)
    array = np.lib.format.read_array(stream, allow_pickle=False)
    return array[..., 0] if array.shape[2:] == (1,) else array


def encode_png(values: np.ndarray) -> bytes:
    """Encodes an image [H, W] as PNG: float32 in [0, 1] as 16-bit grey, labels as 8-bit palette or 16-bit grey.

    The palette gives each label a colour. The stored values are the labels.
    """
    if values.dtype.kind == "f":
        return _encode_raster(np.rint(np.clip(values, 0, 1).astype(np.float64) * 65535).astype(np.uint16), "PNG")
    labels = smallest_integers(values, (np.uint8, np.uint16))
    return _encode_raster(labels, "PNG", label_palette() if labels.dtype == np.uint8 else None)


def encode_tiff(values: np.ndarray) -> bytes:
    """Encodes an image [H, W] as grey TIFF: float32 as it is, labels with 8 or 16 bits."""
    samples = values if values.dtype.kind == "f" else smallest_integers(values, (np.uint8, np.uint16))
    return _encode_raster(samples, "TIFF")


def _encode_raster(samples: np.ndarray, form: str, palette: np.ndarray | None = None) -> bytes:
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(samples))
    if palette is not None:
        image.putpalette(palette.ravel().tolist())
    content = io.BytesIO()
    image.save(content, form)
    return content.getvalue()


@functools.cache
def label_palette() -> np.ndarray:
    """Returns the colours of the labels 0 to 255, uint8 `[256, 3]`: black, distinct ones, and white for 255."""
    colours = [(0.0, 0.0, 0.0)]
    for label in range(1, 255):
        hue = (0.02 + 0.61803 * (label - 1)) % 1  # golden ratio: neighbours differ, no hue comes twice
        colours.append(colorsys.hsv_to_rgb(hue, (0.75, 0.5)[label // 16 % 2], (0.95, 0.7)[label // 8 % 2]))
    return np.rint(255 * np.array([*colours, (1.0, 1.0, 1.0)])).astype(np.uint8)


def encode_array(values: np.ndarray, *, compressed: bool) -> bytes:
    """Encodes an image [H, W]: float32, or labels as the smallest of uint8, int16 and int32.

    The result is a .npy file, or if `compressed` a .npz file with the array `image`.
    """
    values = values if values.dtype.kind == "f" else smallest_integers(values, (np.uint8, np.int16, np.int32))
    content = io.BytesIO()
    if compressed:
        np.savez_compressed(content, image=values)
    else:
        np.save(content, values, allow_pickle=False)
    return content.getvalue()
