"""Codecs of PNG, TIFF, .npy and .npz: file to raw values, and checked pixels to the bytes of a file.

The codecs raise InputError without the file's name, or let a library's exception rise: `reading` adds the path and
translates the exception. NIfTI is in `nifti`.
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
from typing import IO, TYPE_CHECKING

import numpy as np

from neuralizer_jax.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

# 8192 x 8192, far beyond what the model's memory allows.
MAX_PIXELS = 2**26
_ROUNDING = 1e-6
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_SAMPLE_FORMAT = 258, 262, 339  # tags


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns any exception of a decoder into an InputError that begins with `path`, and silences warnings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError as error:
        beginning = f"{one_line(path)}: "  # once, however many readers wrap one another
        raise InputError(beginning + str(error).removeprefix(beginning)) from error
    except Exception as error:  # damaged files make libraries raise nearly anything
        if isinstance(error, OSError) and error.strerror:  # from the file system
            raise InputError(f"{one_line(path)}: cannot be read ({error.strerror})") from error
        reason = f"{type(error).__name__}: {error}"
        raise InputError(
            f"{one_line(path)}: cannot be read, damaged or not what its name says ({one_line(reason)})"
        ) from error


def one_line(text: object) -> str:
    """Joins the lines of a text, such as a path with a line break.

    >>> one_line("two\\nlines.png")
    'two lines.png'
    """
    return " ".join(str(text).splitlines())


def check_is_file(path: Path) -> None:
    """Raises InputError unless `path` is a regular file that is not empty."""
    try:
        if path.is_dir():
            raise InputError(f"{one_line(path)}: is a folder, expected an image file")
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{one_line(path)}: cannot be opened ({error.strerror or error})") from error
    if not path.is_file():  # a pipe or device may never end
        raise InputError(f"{one_line(path)}: is not a regular file, expected an image file")
    if size == 0:
        raise InputError(f"{one_line(path)}: is empty (0 bytes), expected an image file")


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


def read_raster(path: Path, form: str, *, labels: bool) -> tuple[np.ndarray, int | None]:
    """Decodes a PNG or TIFF.

    Colour becomes grey: one channel if all are equal, Rec. 601 luma otherwise. Alpha is ignored. Of a palette image the
    colours are used, but the indices for labels and for a palette that `encode_png` wrote. `form`: `PNG` or `TIFF`.

    Returns:
        The stored values [H, W], and the stored value of full intensity (None for 32-bit integers and floats).
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=(form,)) as image:
            check_plane_size(image.size[::-1])
            image.verify()  # the checksums of a PNG, which decoding ignores
    except UnidentifiedImageError as error:
        raise InputError(f"is not a {form} file, although its name says so") from error
    with Image.open(path, formats=(form,)) as image:  # a verified image cannot be decoded
        if (frames := getattr(image, "n_frames", 1)) > 1:
            raise InputError(f"holds {frames} images, expected one")
        if form == "TIFF":
            _check_tiff_samples(image)
        return _grey_values(image, labels)


def _tiff_tag(image: "Image", tag: int) -> int:
    value = getattr(image, "tag_v2", {}).get(tag, 1)
    return value[0] if isinstance(value, tuple) else value


def _check_tiff_samples(image: "Image") -> None:
    """Refuses TIFF layouts whose values Pillow changes without an error."""
    bits = _tiff_tag(image, _TIFF_BITS)
    signed = _tiff_tag(image, _TIFF_SAMPLE_FORMAT) == 2
    inverted = _tiff_tag(image, _TIFF_PHOTOMETRIC) == 0
    if bits == 12 or (bits == 8 and signed) or (bits > 8 and inverted):
        kind = f"{bits}-bit {'signed ' if signed else ''}{'white-is-zero ' if inverted else ''}samples"
        raise InputError(f"holds {kind}, expected unsigned 8- or 16-bit, 32-bit integer or 32-bit float samples")


def _grey_values(image: "Image", labels: bool) -> tuple[np.ndarray, int | None]:
    """Returns the values [H, W] of an open image and the value of full intensity, as `read_raster`."""
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8), 1
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16), 65535
    if image.mode == "I" and image.format == "PNG":  # 16-bit grey in Pillow before 11.3
        return np.asarray(image), 65535
    if image.mode == "I":
        unsigned = _tiff_tag(image, _TIFF_SAMPLE_FORMAT) == 1
        return np.asarray(image).view(np.uint32 if unsigned else np.int32), None
    if image.mode == "F":
        return np.asarray(image), None
    if image.mode not in ("L", "LA", "P", "PA", "RGB", "RGBA"):
        raise InputError(f"holds {image.mode} pixels, expected grey, RGB or palette")
    if ";16" in str(getattr(image, "tile", "")):
        raise InputError("holds 16-bit colour or alpha, of which 8 bits would be lost, expected 16-bit grey")
    if image.mode == "P" and (labels or image.getpalette() == label_palette().ravel().tolist()):
        return np.asarray(image), 255
    channels = np.asarray(image.convert("RGB") if image.mode in ("P", "PA") else image)
    if channels.ndim == 2:
        return channels, 255
    if image.mode == "LA" or bool((channels[..., :1] == channels[..., 1:3]).all()):
        return channels[..., 0], 255
    if labels:
        raise InputError("is a colour image, not a mask or label map, expected one integer a pixel")
    return channels[..., :3] @ _LUMA, 255


def read_npy(path: Path) -> np.ndarray:
    """Reads the array [H, W] or [H, W, C] of a .npy file. Pickled objects are refused."""
    with open(path, "rb") as stream:
        return _read_array(stream, os.path.getsize(path))


def read_npz(path: Path) -> np.ndarray:
    """Reads the only array of a .npz file, or the one named `image`. Pickled objects are refused."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
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
