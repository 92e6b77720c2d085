"""PNG, TIFF, .npy and .npz: a file in, its raw values out; and checked pixels in, the file's bytes out.

The functions here know their format and nothing else. They raise InputError with a message that says what is wrong
and does not name the file, or let the library's exception rise: `reading` puts the path in front of the one and
translates the other. NIfTI has a module of its own, `nifti_files`.
"""

import contextlib
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

# A plane of 8192 x 8192; the model's memory ends long before.
MAX_PIXELS = 2**26
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_SAMPLE_FORMAT = 258, 262, 339


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises into one InputError line that begins with `path`; silence its warnings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError as error:
        raise InputError(f"{one_line(path)}: {error}") from error
    except Exception as error:  # a damaged file makes the libraries raise nearly anything
        if isinstance(error, OSError) and error.strerror:  # the file, not what it holds
            raise InputError(f"{one_line(path)}: cannot be read ({error.strerror})") from error
        reason = f"{type(error).__name__}: {error}"
        raise InputError(
            f"{one_line(path)}: cannot be read, damaged or not what its name says ({one_line(reason)})"
        ) from error


def one_line(text: object) -> str:
    """Fold text, a path for example, into one line."""
    return " ".join(str(text).splitlines())


def check_plane_size(shape: Sequence[int]) -> None:
    """Raise InputError when an image of [H, W] `shape` has no pixels or more than MAX_PIXELS."""
    if not 0 < math.prod(map(int, shape)) <= MAX_PIXELS:
        size = " x ".join(map(str, shape))
        raise InputError(f"claims an image of {size} pixels: expected at least 1 and at most {MAX_PIXELS}")


def smallest_integers(labels: np.ndarray, dtypes: Sequence[type[np.integer]]) -> np.ndarray:
    """Convert integers to the first of `dtypes` that holds them all. Raises InputError when none does."""
    low, high = int(labels.min()), int(labels.max())
    for dtype in dtypes:
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return labels.astype(dtype)
    widest = np.iinfo(dtypes[-1])
    raise InputError(
        f"labels run from {low} to {high}, this format holds {widest.min} to {widest.max}: use .nii.gz or .npy"
    )


def read_raster(path: Path, form: str, *, labels: bool) -> tuple[np.ndarray, int | None]:
    """Decode a PNG or TIFF (`form`): values [H, W] as stored, and the stored value that means 1.0.

    The latter is None where the format does not define one (32-bit integers and floats). Colour becomes grey: the
    channel itself where all are equal, else Rec. 601 luma; alpha is ignored. A palette is looked up, but for labels
    its indices are the values.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=(form,)) as image:
            check_plane_size(image.size[::-1])
            image.verify()  # the checksums of a PNG, which decoding its pixels passes over
    except UnidentifiedImageError as error:
        raise InputError(f"is not a {form} file, although its name says so") from error
    with Image.open(path, formats=(form,)) as image:  # an image cannot be used once it is verified
        if getattr(image, "n_frames", 1) > 1:
            raise InputError(f"holds {image.n_frames} images: expected one")
        if form == "TIFF":
            _check_tiff_samples(image)
        return _grey_values(image, labels)


def _check_tiff_samples(image: "Image") -> None:
    """Refuse the TIFF layouts whose values Pillow hands out changed without a word."""
    bits = image.tag_v2.get(_TIFF_BITS, (1,))[0]
    signed = image.tag_v2.get(_TIFF_SAMPLE_FORMAT, (1,))[0] == 2
    inverted = image.tag_v2.get(_TIFF_PHOTOMETRIC) == 0
    if bits == 12 or (bits == 8 and signed) or (bits > 8 and inverted):
        kind = f"{bits}-bit {'signed ' if signed else ''}{'white-is-zero ' if inverted else ''}samples"
        raise InputError(f"holds {kind}: expected unsigned 8- or 16-bit, 32-bit integer or 32-bit float samples")


def _grey_values(image: "Image", labels: bool) -> tuple[np.ndarray, int | None]:
    """Values [H, W] of an opened image and the value of full intensity; see `read_raster`."""
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8), 1
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16), 65535
    if image.mode == "I" and image.format == "PNG":  # 16-bit grey in Pillow before 11.3
        return np.asarray(image), 65535
    if image.mode == "I":
        unsigned = image.tag_v2.get(_TIFF_SAMPLE_FORMAT, (1,))[0] == 1
        return np.asarray(image).view(np.uint32 if unsigned else np.int32), None
    if image.mode == "F":
        return np.asarray(image), None
    if image.mode not in ("L", "LA", "P", "PA", "RGB", "RGBA"):
        raise InputError(f"holds {image.mode} pixels: expected grey, RGB or palette")
    if ";16" in str(image.tile[0][3]):
        raise InputError("holds 16-bit colour or alpha, of which 8 bits would be lost: save it as 16-bit grey")
    if image.mode == "P" and labels:
        return np.asarray(image), 255
    channels = np.asarray(image.convert("RGB") if image.mode in ("P", "PA") else image)
    if channels.ndim == 2:
        return channels, 255
    if image.mode == "LA" or bool((channels[..., :1] == channels[..., 1:3]).all()):
        return channels[..., 0], 255
    if labels:
        raise InputError("is a colour image, not a mask or label map: expected one integer a pixel")
    return channels[..., :3] @ _LUMA, 255


def read_npy(path: Path) -> np.ndarray:
    """Read a .npy file: the array as stored, [H, W] or [H, W, C]. Pickled objects are refused."""
    with open(path, "rb") as stream:
        return _read_array(stream, os.path.getsize(path))


def read_npz(path: Path) -> np.ndarray:
    """Read the one array of a .npz file, or the one named `image`. Pickled objects are refused."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if len(members) != 1 and "image" not in members:
            names = ", ".join(sorted(members)[:5]) or "none"
            raise InputError(f"holds the arrays {one_line(names)}: expected one array, or one named image")
        info = members["image"] if "image" in members else next(iter(members.values()))
        with archive.open(info) as stream:
            return _read_array(stream, info.file_size)


def _read_array(stream: IO[bytes], size: int) -> np.ndarray:
    """Read one array in npy format from a stream of `size` bytes; its header is checked before memory is taken."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise InputError(f"is in npy format {version[0]}.{version[1]}: expected 1.0 or 2.0")
    if dtype.kind not in "biuf":
        raise InputError(f"holds an array of {one_line(dtype)}: expected real numbers")
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 2, 3)):
        raise InputError(f"holds an array of shape {shape}: expected [H, W], or [H, W, C] with 1 to 3 channels")
    check_plane_size(shape[:2])
    needed = stream.tell() + math.prod(shape) * dtype.itemsize
    if size < needed:
        raise InputError(f"is truncated: {size} bytes, its header promises {needed}")
    stream.seek(0)
    array = np.lib.format.read_array(stream, allow_pickle=False)
    return array[..., 0] if array.shape[2:] == (1,) else array


def encode_png(values: np.ndarray) -> bytes:
    """Make a grey PNG of an image [H, W]: float32 clipped to [0, 1] at 16 bits, labels as they are at 8 or 16 bits."""
    if values.dtype.kind == "f":
        samples = np.rint(np.clip(values, 0, 1).astype(np.float64) * 65535).astype(np.uint16)
    else:
        samples = smallest_integers(values, (np.uint8, np.uint16))
    return _encode_raster(samples, "PNG")


def encode_tiff(values: np.ndarray) -> bytes:
    """Make a grey TIFF of an image [H, W]: float32 as it is, labels at 8 or 16 bits."""
    samples = values if values.dtype.kind == "f" else smallest_integers(values, (np.uint8, np.uint16))
    return _encode_raster(samples, "TIFF")


def _encode_raster(samples: np.ndarray, form: str) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(samples)).save(content, form)
    return content.getvalue()


def encode_npy(values: np.ndarray) -> bytes:
    """Make a .npy file of an image [H, W]: float32, or the smallest of uint8, int16, int32 that holds the labels."""
    content = io.BytesIO()
    np.save(content, _plain_numbers(values), allow_pickle=False)
    return content.getvalue()


def encode_npz(values: np.ndarray) -> bytes:
    """Make a .npz file that holds an image [H, W] as `image`, in the types of `encode_npy`."""
    content = io.BytesIO()
    np.savez_compressed(content, image=_plain_numbers(values))
    return content.getvalue()


def _plain_numbers(values: np.ndarray) -> np.ndarray:
    return values if values.dtype.kind == "f" else smallest_integers(values, (np.uint8, np.int16, np.int32))
