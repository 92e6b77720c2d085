"""PNG and TIFF: the values are those in the file, and what would change them without a word is refused."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.image_files import read_image

LABELS = np.array([[0, 1, 2, 3, 1], [3, 2, 1, 0, 0], [1, 1, 3, 2, 0]])
MASK = (LABELS > 1).astype(np.uint8)


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(samples, bits, colour_type=0, *extra):
    """A PNG of `[H, W]` samples with 1, 2, 4, 8 or 16 bits; `extra` chunks come before the pixels."""
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], bits, colour_type, 0, 0, 0)
    rows = b""
    for row in samples:
        text = "".join(f"{sample:0{bits}b}" for sample in row)
        text += "0" * (-len(text) % 8)
        rows += b"\0" + bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
    chunks = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def read(tmp_path, content, suffix=".png", **options):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    return read_image(path, **options).pixels


def refused(tmp_path, content, message, suffix=".png", labels=False):
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, content, suffix, labels=labels)
    assert str(caught.value).startswith(f"{tmp_path / 'a'}{suffix}: ")


def tiff(array, **options):
    content = io.BytesIO()
    tifffile.imwrite(content, array, **options)
    return content.getvalue()


def pillow(array, form, **options):
    content = io.BytesIO()
    (array if isinstance(array, Image.Image) else Image.fromarray(array)).save(content, form, **options)
    return content.getvalue()


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_grey_png_of_any_bits(tmp_path, bits):
    content = png(LABELS, bits)
    np.testing.assert_array_equal(read(tmp_path, content, labels=True), LABELS)
    np.testing.assert_array_equal(read(tmp_path, content), LABELS.astype(np.float32) / np.float32(2**bits - 1))


def test_one_bit_png(tmp_path):
    np.testing.assert_array_equal(read(tmp_path, png(MASK, 1), labels=True), MASK)
    np.testing.assert_array_equal(read(tmp_path, png(MASK, 1)), MASK)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_palette_png_of_any_bits(tmp_path, bits):
    colours = chunk(b"PLTE", bytes([0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 9, 9]))
    clear = chunk(b"tRNS", b"\0")  # the background is transparent, as in overlays
    np.testing.assert_array_equal(read(tmp_path, png(LABELS, bits, 3, colours, clear), labels=True), LABELS)
    np.testing.assert_allclose(read(tmp_path, png(LABELS, bits, 3, colours))[0, 1], 0.299, rtol=1e-6)
    refused(tmp_path, png(LABELS, bits, 3, colours, clear), "4 pixels are transparent")


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
@pytest.mark.parametrize("labels", [False, True])
def test_a_transparent_grey_value(tmp_path, bits, labels):
    refused(tmp_path, png(LABELS, bits, 0, chunk(b"tRNS", b"\0\3")), "3 pixels are transparent", labels=labels)


@pytest.mark.parametrize(("form", "suffix"), [("PNG", ".png"), ("TIFF", ".tif")])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("labels", [False, True])
def test_alpha(tmp_path, form, suffix, mode, labels):
    image = Image.fromarray(LABELS.astype(np.uint8)).convert(mode)
    values = read(tmp_path, pillow(image, form), suffix, labels=labels)
    np.testing.assert_array_equal(np.rint(values * (1 if labels else 255)), LABELS)
    alpha = np.full(LABELS.shape, 255, np.uint8)
    alpha[1, 1:3] = 254, 0
    image.putalpha(Image.fromarray(alpha))
    refused(tmp_path, pillow(image, form), "2 pixels are transparent", suffix, labels)


@pytest.mark.parametrize("labels", [False, True])
def test_pixels_that_are_shown_turned(tmp_path, labels):
    exif = Image.Exif()
    exif[274] = 6
    refused(tmp_path, pillow(MASK, "PNG", exif=exif), "Orientation tag is 6", labels=labels)
    refused(tmp_path, pillow(MASK, "TIFF", tiffinfo={274: 3}), "Orientation tag is 3", ".tif", labels)
    exif[274] = 1
    np.testing.assert_array_equal(read(tmp_path, pillow(MASK, "PNG", exif=exif), labels=True), MASK)


@pytest.mark.parametrize(
    "dtype", ["u1", "u2", ">u2", "i2", ">i2", "u4", ">u4", "i4", "i8", "u8", "f2", "f4", ">f4", "f8", ">f8"]
)
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("layout", [{}, {"rowsperstrip": 1}, {"tile": (16, 16)}], ids=["whole", "strips", "tiles"])
def test_tiff_of_any_type(tmp_path, dtype, big, layout):
    array = np.tile(LABELS, (7, 5)).astype(dtype)
    content = tiff(array, bigtiff=big, byteorder=dtype[0] if dtype[0] == ">" else "<", **layout)
    np.testing.assert_array_equal(read(tmp_path, content, ".tif", labels=True), array)
    full = np.float32({"u1": 255, "u2": 65535}.get(dtype.strip(">"), 1))
    np.testing.assert_array_equal(read(tmp_path, content, ".tif"), array.astype(np.float32) / full)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_compressed_tiff(tmp_path, compression, dtype):
    array = LABELS.astype(dtype)
    content = pillow(array, "TIFF", compression=compression)
    np.testing.assert_array_equal(read(tmp_path, content, ".tif", labels=True), array)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_tiff_with_a_predictor(tmp_path, dtype):
    content = pillow(LABELS.astype(dtype), "TIFF", compression="tiff_adobe_deflate", tiffinfo={317: 2})
    np.testing.assert_array_equal(read(tmp_path, content, ".tif", labels=True), LABELS)


def test_white_is_zero(tmp_path):
    """Labels are what is stored, intensities what is shown."""
    content = tiff(LABELS.astype(np.uint8), photometric="miniswhite")
    np.testing.assert_array_equal(read(tmp_path, content, ".tif", labels=True), LABELS)
    np.testing.assert_allclose(read(tmp_path, content, ".tif"), 1 - LABELS / 255, rtol=1e-6)
    bits = tiff(MASK > 0, photometric="miniswhite")
    np.testing.assert_array_equal(read(tmp_path, bits, ".tif", labels=True), MASK)
    np.testing.assert_array_equal(read(tmp_path, bits, ".tif"), 1 - MASK)
    refused(tmp_path, tiff(LABELS.astype(np.uint16), photometric="miniswhite"), "white-is-zero", ".tif")
    refused(tmp_path, tiff(LABELS.astype(np.float64), photometric="miniswhite"), "photometric", ".tif")


def test_labels_are_not_read_from_lossy_files(tmp_path):
    content = pillow(np.full((16, 16), 7, np.uint8), "TIFF", compression="jpeg")
    refused(tmp_path, content, "with a loss", ".tif", labels=True)
    assert read(tmp_path, content, ".tif").shape == (16, 16)


DOUBLES = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tiff(DOUBLES.astype(np.complex64)), "holds complex64 samples, expected"),
        (tiff(np.stack([DOUBLES, DOUBLES]), photometric="minisblack"), "2 images"),
        (tiff(np.stack([DOUBLES] * 3, -1), photometric="rgb"), "float64 samples of shape"),
        (
            tiff(np.stack([LABELS] * 2, -1).astype(np.uint8), photometric="minisblack", planarconfig="contig"),
            "neither colour nor alpha",
        ),
        (tiff(DOUBLES, extratags=[(274, 3, 1, 8, True)]), "Orientation tag is 8"),
        (tiff(DOUBLES, compression="zlib"), "float64 samples in compressed form"),
        (tiff(DOUBLES)[:-9], "truncated"),
        (tiff(DOUBLES)[:100], "damaged"),
    ],
    ids=["complex", "pages", "colour", "two channels", "turned", "compressed", "truncated", "header"],
)
def test_tiff_files_that_are_not_read_say_why(tmp_path, capfd, content, message):
    refused(tmp_path, content, message, ".tif")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("suffix", "content", "message"),
    [
        (".png", pillow(MASK, "JPEG"), "is a JPEG image, not a PNG image"),
        (".tif", pillow(MASK, "PNG"), "is a PNG image, not a TIFF image"),
        (".png", tiff(DOUBLES), "is a TIFF image, not a PNG"),
        (".png", bytes(128) + b"DICM" + bytes(300), "is a DICOM file"),
        (".nii.gz", bytes(344) + b"n+1\0", "is a NIfTI file, not a gzip file"),
        (".nii", b"\x1f\x8b" + bytes(400), "is a gzip file, not a NIfTI file"),
        (".nii.gz", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (".nii.gz", b"/annex/objects/MD5E-s1--0.nii.gz\n", "git-annex pointer"),
        (".nii.gz", b"<!DOCTYPE html>", "is a web page"),
        (".npz", b"\x93NUMPY\x01\0", "is a NumPy array, not a zip archive"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path, suffix, content, message):
    refused(tmp_path, content, message, suffix)


def small_tiff(samples, bits, photometric):
    """A TIFF of grey samples with less than 8 bits."""
    rows = b""
    for row in samples:
        text = "".join(f"{sample:0{bits}b}" for sample in row)
        text += "0" * (-len(text) % 8)
        rows += bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
    height, width = samples.shape
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: height, 279: len(rows)}
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags.items())
    start = 8 + len(rows)
    return struct.pack("<2sHI", b"II", 42, start) + rows + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_tiff_of_few_bits(tmp_path, bits, white_is_zero):
    content = small_tiff(LABELS, bits, 0 if white_is_zero else 1)
    np.testing.assert_array_equal(read(tmp_path, content, ".tif", labels=True), LABELS)
    shown = LABELS / (2**bits - 1)
    np.testing.assert_allclose(read(tmp_path, content, ".tif"), 1 - shown if white_is_zero else shown, rtol=1e-6)


def test_a_damaged_tiff_prints_nothing(tmp_path, capfd):
    path = tmp_path / "a.tif"
    Image.fromarray(np.arange(4000, dtype=np.uint8).reshape(50, 80)).save(path, compression="tiff_adobe_deflate")
    content = bytearray(path.read_bytes())
    content[40:60] = bytes(20)  # in the pixels
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        read_image(path)
    assert capfd.readouterr().err == ""
