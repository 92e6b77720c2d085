"""Decoder of PNG and TIFF: file to the stored values of one grey image or label map.

Pillow decodes what it knows, tifffile the TIFF files of other samples, such as 64-bit floats. What would change without
a word is refused: transparency, turned pixels, colours that are meant as labels, lossy labels.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.image_formats import check_plane_size, label_palette

if TYPE_CHECKING:
    from PIL.Image import Image

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601

# TIFF tags, and values of theirs.
_BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 258, 259, 262, 274, 338, 339
_WHITE_IS_ZERO, _SIGNED, _UNKNOWN_EXTRA = 0, 2, 0
_LOSSY = (6, 7, 33003, 33005, 34712, 34892, 50001, 50002)  # JPEG, JPEG 2000, WebP, JPEG XL

_EXPECTED_SAMPLES = "expected unsigned 8- or 16-bit, 32-bit integer, or float samples"


def read_raster(path: Path, form: str, *, labels: bool) -> tuple[np.ndarray, int | None]:
    """Decodes a PNG or TIFF of one image.

    Colour becomes grey: one channel if all are equal, Rec. 601 luma otherwise. Of a palette image the colours are used,
    but the indices for labels and for a palette that `encode_png` wrote.

    Args:
        path: the file.
        form: `PNG` or `TIFF`.
        labels: the values are labels.

    Returns:
        The stored values [H, W], and the stored value of full intensity (None for 32-bit integers and floats).
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=(form,)) as image:
            check_plane_size(image.size[::-1])
            image.verify()  # the checksums of a PNG, which decoding ignores
    except UnidentifiedImageError as error:
        if form == "TIFF":
            return _read_other_tiff(path)
        raise InputError("is no readable PNG file, its header is damaged") from error
    with _silent_libtiff(), Image.open(path, formats=(form,)) as image:  # a verified image cannot be decoded
        _check_pages(getattr(image, "n_frames", 1))
        layout = str(getattr(image, "tile", ""))  # loading clears it
        if form == "TIFF":
            _check_tiff_samples(image, labels)
            _check_orientation(_tag(image, _ORIENTATION))
        else:
            _check_orientation(image.getexif().get(_ORIENTATION))
        return _grey_values(image, layout, labels)


@contextmanager
def _silent_libtiff() -> Iterator[None]:
    """Keeps off the terminal what libtiff prints about damage; Pillow raises it as well."""
    try:
        stderr = os.dup(2)
    except OSError:  # the process has none
        yield
        return
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def _check_pages(pages: int) -> None:
    if pages > 1:
        raise InputError(f"holds {pages} images, expected one")


def _check_orientation(orientation: object) -> None:
    if orientation in range(2, 9):
        raise InputError(
            f"its Orientation tag is {orientation}, so programs show it turned or mirrored, expected pixels in the "
            "order they are shown (tag 1 or none)"
        )


def _tag(image: "Image", tag: int, default: int = 1) -> int:
    value = getattr(image, "tag_v2", {}).get(tag, default)
    return value[0] if isinstance(value, tuple) else value


def _check_tiff_samples(image: "Image", labels: bool) -> None:
    """Refuses TIFF layouts whose values Pillow changes without an error."""
    bits = _tag(image, _BITS)
    signed = _tag(image, _SAMPLE_FORMAT) == _SIGNED
    inverted = _tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO
    if bits == 12 or (bits == 8 and signed) or (bits > 8 and inverted):
        kind = f"{bits}-bit {'signed ' if signed else ''}{'white-is-zero ' if inverted else ''}samples"
        raise InputError(f"holds {kind}, {_EXPECTED_SAMPLES}")
    if _EXTRA_SAMPLES in image.tag_v2 and _tag(image, _EXTRA_SAMPLES) == _UNKNOWN_EXTRA:  # type: ignore[attr-defined]
        raise InputError("holds a channel that is neither colour nor alpha, expected grey or RGB")
    if labels and _tag(image, _COMPRESSION) in _LOSSY:
        raise InputError("is compressed with a loss (as JPEG), which changes labels, expected LZW, deflate or none")


def _grey_values(image: "Image", layout: str, labels: bool) -> tuple[np.ndarray, int | None]:
    """Returns the values [H, W] of an open image and the value of full intensity, as `read_raster`.

    `layout` is how Pillow says that the samples are stored, such as `L;4` for 4 bits.
    """
    mode = image.mode
    if mode == "I" and image.format == "TIFF":
        unsigned = _tag(image, _SAMPLE_FORMAT) == 1
        return np.asarray(image).view(np.uint32 if unsigned else np.int32), None
    if mode == "F":
        return np.asarray(image), None
    if mode == "1" or mode == "L" or mode.startswith("I"):
        return _grey_samples(image, layout, labels)
    if mode not in ("LA", "P", "PA", "RGB", "RGBA"):
        raise InputError(f"holds {mode} pixels, expected grey, RGB or palette")
    if ";16" in layout:
        raise InputError("holds 16-bit colour or alpha, of which 8 bits would be lost, expected 16-bit grey")
    if mode == "P" and (labels or image.getpalette() == label_palette().ravel().tolist()):
        return np.asarray(image), 255
    channels = np.asarray(image.convert("RGBA"))
    if channels[..., 3].min() < 255:
        raise _transparent(channels[..., 3] < 255)
    if bool((channels[..., :1] == channels[..., 1:3]).all()):
        return channels[..., 0], 255
    if labels:
        raise InputError("is a colour image, not a mask or label map, expected one integer a pixel")
    return channels[..., :3] @ _LUMA, 255


def _grey_samples(image: "Image", layout: str, labels: bool) -> tuple[np.ndarray, int]:
    """Returns the samples of a grey image of 1 to 16 bits: labels as stored, intensities with white as the largest."""
    key = image.info.get("transparency")
    # Pillow stretches 2 and 4 bits to 8.
    narrow = re.search(r"'L;([24])", layout)
    bits = 1 if image.mode == "1" else int(narrow[1]) if narrow else 8 if image.mode == "L" else 16
    full = 2**bits - 1
    pixels = np.asarray(image).astype(np.uint16)
    samples = pixels // (255 // full) if 1 < bits < 8 else pixels
    if key is not None and (samples == key).any():
        raise _transparent(samples == key)
    # Pillow shows white-is-zero samples of up to 8 bits as a viewer does. It takes a missing tag for white-is-zero.
    shown_inverted = image.format == "TIFF" and bits <= 8 and _tag(image, _PHOTOMETRIC, 0) == _WHITE_IS_ZERO
    return full - samples if labels and shown_inverted else samples, full


def _transparent(pixels: np.ndarray) -> InputError:
    return InputError(f"{np.count_nonzero(pixels)} pixels are transparent, expected an image without transparency")


def _read_other_tiff(path: Path) -> tuple[np.ndarray, int | None]:
    """Reads a grey TIFF that Pillow does not know: 16- and 64-bit floats, 64-bit integers, big-endian BigTIFF."""
    from tifffile import TiffFile, TiffFileError

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        with TiffFile(path) as tiff:
            _check_pages(len(tiff.pages))
            page = tiff.pages.first
            if page.dtype is None or page.dtype.kind not in "iuf" or len(page.shape) != 2 or page.photometric != 1:
                what = "samples" if page.dtype is None else f"{page.dtype} samples"
                if page.dtype is not None and page.dtype.kind in "iuf":
                    what = f"{page.dtype} samples of shape {page.shape}, photometric interpretation {page.photometric}"
                raise InputError(f"holds {what}, {_EXPECTED_SAMPLES} of one grey channel")
            check_plane_size(page.shape)
            _check_orientation(page.tags.valueof(_ORIENTATION, default=1))
            if page.compression != 1:
                raise InputError(f"holds {page.dtype} samples in compressed form, expected no compression")
            needed = page.shape[0] * page.shape[1] * page.dtype.itemsize
            ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
            if sum(page.databytecounts) < needed or max(ends) > path.stat().st_size:
                raise InputError(f"is truncated, its header promises {needed} bytes of pixels")
            return page.asarray(), {"uint8": 255, "uint16": 65535}.get(page.dtype.name)
    except TiffFileError as error:
        raise InputError("is no readable TIFF file, its header is damaged") from error
