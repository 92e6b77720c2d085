"""What a user's image file turns into, what is written for it, and what is said when either cannot be."""

import gzip
import io
import os
import stat
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.image_files import IMAGE_SUFFIXES, image_stem, image_suffix, read_image, write_image
from neuralizer_jax.files.planes import parse_slice

AFFINE = np.array([[0, 0, -1.5, 40], [2.0, 0, 0, -30], [0, -1.0, 0, 20], [0, 0, 0, 1]])
RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4) * 23


def save_pillow(path, pixels, mode=None, **options):
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def save_nifti(path, array, affine=AFFINE):
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def nifti_like(folder, shape=(3, 4)):
    return read_image(save_nifti(folder / "like.nii", np.zeros(shape, np.float32)))


# --- intensities ---


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize(("dtype", "full"), [(np.uint8, 255), (np.uint16, 65535)])
def test_grey_integers_become_unit_range(tmp_path, suffix, dtype, full):
    stored = np.array([[0, 1, full // 2], [full - 1, full, 7]], dtype)
    image = read_image(save_pillow(tmp_path / f"a{suffix}", stored))
    assert image.pixels.dtype == np.float32
    np.testing.assert_array_equal(image.pixels, stored.astype(np.float32) / np.float32(full))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_grey_stored_as_colour_reads_as_grey(tmp_path, mode):
    image = read_image(save_pillow(tmp_path / "a.png", RAMP, mode))
    np.testing.assert_array_equal(image.pixels, RAMP / np.float32(255))


def test_colour_reads_as_luma(tmp_path):
    colour = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    image = read_image(save_pillow(tmp_path / "a.png", colour))
    np.testing.assert_allclose(image.pixels, [[0.299, 0.587], [0.114, 1]], rtol=1e-6)


def test_one_bit(tmp_path):
    mask = np.array([[True, False], [False, True]])
    path = save_pillow(tmp_path / "a.png", mask)
    np.testing.assert_array_equal(read_image(path).pixels, mask)
    np.testing.assert_array_equal(read_image(path, labels=True).pixels, mask)


@pytest.mark.parametrize("stored", [np.float32([[0.5, -3e4]]), np.int32([[-5, 70000]])], ids=["float", "int32"])
def test_tiff_numbers_without_a_range_are_kept(tmp_path, stored):
    image = read_image(save_pillow(tmp_path / "a.tiff", stored))
    np.testing.assert_array_equal(image.pixels, stored)


def test_unsigned_32_bit_tiff_does_not_wrap(tmp_path):
    path = save_pillow(tmp_path / "a.tif", np.array([[-1, 5]], np.int32))
    signed, unsigned = (struct.pack("<HHII", 339, 3, 1, sample_format) for sample_format in (2, 1))
    content = path.read_bytes()
    assert content.count(signed) == 1
    path.write_bytes(content.replace(signed, unsigned))
    np.testing.assert_array_equal(read_image(path).pixels, [[2**32 - 1, 5]])


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 2), (3, 4, 3)])
@pytest.mark.parametrize("dtype", [np.bool_, np.int16, np.float64])
def test_numpy_numbers_are_kept(tmp_path, shape, dtype):
    stored = (np.arange(np.prod(shape)) % 5 - 1).reshape(shape).astype(dtype)
    np.save(tmp_path / "a.npy", stored)
    np.savez(tmp_path / "a.npz", stored)
    np.savez_compressed(tmp_path / "b.npz", other=np.zeros(3), image=stored)
    for name in ("a.npy", "a.npz", "b.npz"):
        image = read_image(tmp_path / name)
        assert image.pixels.dtype == (np.float64 if dtype == np.float64 else np.float32)
        np.testing.assert_array_equal(image.pixels, stored[..., 0] if shape[2:] == (1,) else stored)


def test_nifti_scaling_is_applied(tmp_path):
    volume = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), AFFINE)
    volume.header.set_slope_inter(0.5, -3)
    nib.save(volume, tmp_path / "a.nii.gz")
    expected = nib.load(tmp_path / "a.nii.gz").get_fdata()[1]
    image = read_image(tmp_path / "a.nii.gz", slice_=parse_slice("0/1"))
    assert sorted(image.pixels.ravel()) == sorted(expected.ravel().astype(np.float32))


def test_nifti_2_and_big_endian(tmp_path):
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nib.save(nib.Nifti1Image(RAMP.astype(np.int16), np.eye(4), header), tmp_path / "big.nii")
    nib.save(nib.Nifti2Image(RAMP.astype(np.int16), np.eye(4)), tmp_path / "two.nii")
    for name in ("big.nii", "two.nii"):
        image = read_image(tmp_path / name)
        assert sorted(image.pixels.ravel()) == sorted(RAMP.ravel())
        write_image(tmp_path / "again.nii", image.pixels, image, kind="image")
        again = nib.load(tmp_path / "again.nii")
        assert type(again) is type(nib.load(tmp_path / name))
        np.testing.assert_array_equal(again.get_fdata(), RAMP)


def test_an_error_names_the_file_once(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((3, 4, 5), np.int16), AFFINE), tmp_path / "a.nii")
    with pytest.raises(InputError, match="expected a choice of a plane") as error:
        read_image(tmp_path / "a.nii")
    assert str(error.value).count("a.nii") == 1


# --- labels ---


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_labels_are_not_scaled(tmp_path, suffix):
    mask = np.array([[0, 255], [255, 7]], np.uint8)
    path = tmp_path / f"mask{suffix}"
    np.save(path, mask) if suffix == ".npy" else save_pillow(path, mask)
    labels = read_image(path, labels=True)
    assert labels.pixels.dtype == np.int32
    np.testing.assert_array_equal(labels.pixels, mask)


def test_palette_indices_are_the_labels(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8)).convert("P")
    image.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", labels=True).pixels, [[0, 1], [2, 1]])
    np.testing.assert_allclose(read_image(tmp_path / "a.png").pixels[0], [9 / 255, 0.299 * 200 / 255], rtol=1e-6)


def test_label_pngs_have_colours_for_people_and_labels_for_programs(tmp_path):
    labels = np.arange(256).reshape(16, 16)
    write_image(tmp_path / "a.png", labels, None, kind="labels")
    with Image.open(tmp_path / "a.png") as written:
        np.testing.assert_array_equal(np.asarray(written), labels)
        colours = np.asarray(written.convert("RGB")).reshape(256, 3)
    assert len(np.unique(colours, axis=0)) == 256
    assert colours[0].max() == 0
    assert colours[255].min() == 255
    assert colours[1:].max(axis=1).min() > 150
    # Read as an image, our palette is not looked up.
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, labels.astype(np.float32) / np.float32(255))


def test_labels_behind_a_scale_factor_are_whole(tmp_path):
    volume = nib.Nifti1Image(np.array([[10, 30], [70, 20350]], np.int16), np.eye(4))
    volume.header.set_slope_inter(0.1, 0)
    volume.to_filename(tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[112:116] = np.float32(0.1).tobytes()  # scl_slope; nibabel has scaled the stored values for it already
    raw[352:360] = np.array([10, 30, 70, 20350], np.int16).tobytes()
    (tmp_path / "a.nii").write_bytes(raw)
    assert sorted(read_image(tmp_path / "a.nii", labels=True).pixels.ravel()) == [1, 3, 7, 2035]


LABELS = {".png": (0, 65535), ".tif": (0, 65535), ".npy": (-(2**31), 2**31 - 1)}
LABELS |= {".tiff": LABELS[".tif"]} | dict.fromkeys((".npz", ".nii", ".nii.gz", ".mgz", ".mgh"), LABELS[".npy"])


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
@settings(max_examples=30)
@given(data=st.data())
def test_labels_survive_every_format(tmp_path_factory, suffix, data):
    folder = tmp_path_factory.getbasetemp()
    low, high = LABELS[suffix]
    top = data.draw(st.sampled_from([1, 255, 256, 32767, 65535, high]))
    numbers = st.integers(max(low, -top), min(top, high))
    labels = data.draw(arrays(np.int64, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=numbers))
    like = nifti_like(folder, labels.T.shape)
    labels = np.resize(labels, like.pixels.shape)
    write_image(folder / f"labels{suffix}", labels, like, kind="labels")
    np.testing.assert_array_equal(read_image(folder / f"labels{suffix}", labels=True).pixels, labels)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float64])
def test_labels_of_any_dtype_are_written(tmp_path, dtype):
    labels = np.array([[0, 1], [1, 0]]).astype(dtype)
    write_image(tmp_path / "a.png", labels, None, kind="labels")
    with Image.open(tmp_path / "a.png") as written:
        assert written.mode == "P"
        np.testing.assert_array_equal(np.asarray(written), labels)


# --- predictions ---


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_predictions_survive_every_format(tmp_path, suffix):
    prediction = np.random.default_rng(0).random((4, 3)).astype(np.float32)
    like = nifti_like(tmp_path)
    assert like.pixels.shape == (4, 3)
    write_image(tmp_path / f"a{suffix}", prediction, like, kind="image")
    tolerance = 0.5 / 65535 + 1e-7 if suffix == ".png" else 0
    np.testing.assert_allclose(read_image(tmp_path / f"a{suffix}").pixels, prediction, rtol=0, atol=tolerance)


def test_png_is_16_bit_and_clipped(tmp_path):
    write_image(tmp_path / "a.png", np.array([[-0.2, 0, 0.5, 1, 1.7]]), None, kind="image")
    with Image.open(tmp_path / "a.png") as written:
        np.testing.assert_array_equal(np.asarray(written), [[0, 0, 32768, 65535, 65535]])


def rich_volume(shape=(5, 6, 7), qcode=1, scode=2):
    volume = nib.Nifti1Image(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), AFFINE)
    header = volume.header
    volume.set_qform(AFFINE, qcode)
    volume.set_sform(AFFINE, scode)
    header["descrip"] = b"scanner 7"
    header["cal_max"] = 900
    header.set_xyzt_units("mm", "sec")
    header.set_intent("z score")
    header.set_slope_inter(0.25, 10)
    header["slice_end"] = 5
    header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"kept"))
    return volume


@pytest.mark.parametrize(("qcode", "scode"), [(1, 2), (1, 0), (0, 4), (0, 0)])
@pytest.mark.parametrize("text", [None, "0/2", "1/5", "2/0"])
def test_nifti_prediction_lies_where_the_target_lies(tmp_path, text, qcode, scode):
    volume = rich_volume((5, 6, 7) if text else (5, 1, 7), qcode, scode)
    nib.save(volume, tmp_path / "target.nii.gz")
    target = nib.load(tmp_path / "target.nii.gz")
    image = read_image(tmp_path / "target.nii.gz", slice_=text and parse_slice(text))
    write_image(tmp_path / "out.nii.gz", image.pixels, image, kind="image")
    written = nib.load(tmp_path / "out.nii.gz")
    values = target.get_fdata()
    if text:
        axis, index = map(int, text.split("/"))
        here = tuple(slice(index, index + 1) if a == axis else slice(None) for a in range(3))
        corner = np.eye(4)[axis] * index
    else:
        here, corner = ..., np.zeros(4)
    corner[3] = 1
    np.testing.assert_array_equal(written.get_fdata(), values[here])
    np.testing.assert_allclose(written.affine[:, 3], target.affine @ corner, atol=1e-4)
    np.testing.assert_allclose(written.affine[:3, :3], target.affine[:3, :3], atol=1e-5)
    new, old = written.header, target.header
    if text is None or qcode or scode:
        assert (int(new["qform_code"]), int(new["sform_code"])) == (qcode, scode)
    assert new.get_zooms() == old.get_zooms()
    assert new.get_xyzt_units() == ("mm", "sec")
    assert new["descrip"] == old["descrip"]
    assert new.extensions[0].get_content() == b"kept"
    assert new.get_data_dtype() == np.float32
    assert new.get_intent()[0] == "none"
    assert float(new["cal_max"]) == 0
    assert (written.dataobj.slope, written.dataobj.inter) == (1, 0)


def test_a_broken_qform_beside_a_valid_sform_is_left_out(tmp_path):
    content = bytearray(rich_volume().to_bytes())
    content[256:260] = np.float32(3).tobytes()  # quatern_b, in a unit quaternion at most 1
    (tmp_path / "target.nii").write_bytes(content)
    image = read_image(tmp_path / "target.nii", slice_=parse_slice("1/5"))
    write_image(tmp_path / "out.nii", image.pixels, image, kind="image")
    written = nib.load(tmp_path / "out.nii")
    np.testing.assert_allclose(written.affine[:, 3], AFFINE @ [0, 5, 0, 1], atol=1e-4)
    assert (int(written.header["qform_code"]), int(written.header["sform_code"])) == (0, 2)


@pytest.mark.parametrize("suffix", [".mgz", ".mgh"])
@pytest.mark.parametrize("text", ["0/2", "1/5", "2/0"])
def test_freesurfer_prediction_lies_where_the_target_lies(tmp_path, suffix, text):
    voxels = np.arange(210, dtype=np.int16).reshape(5, 6, 7)
    nib.save(nib.MGHImage(voxels, AFFINE.astype(np.float32)), tmp_path / f"target{suffix}")
    nib.save(nib.Nifti1Image(voxels, AFFINE), tmp_path / "target.nii")
    choice = parse_slice(text)
    image, same = (read_image(tmp_path / name, slice_=choice) for name in (f"target{suffix}", "target.nii"))
    np.testing.assert_array_equal(image.pixels, same.pixels)
    for name in ("out.nii.gz", "out.mgz"):
        write_image(tmp_path / name, image.pixels, image, kind="labels")
        written = nib.load(tmp_path / name)
        assert written.get_data_dtype() == np.uint8
        axis, index = map(int, text.split("/"))
        np.testing.assert_array_equal(np.asarray(written.dataobj), voxels.take([index], axis))
        np.testing.assert_allclose(written.affine, AFFINE @ corner_moved(axis, index), atol=1e-4)


def corner_moved(axis, index):
    """Voxel to voxel: the first voxel of the plane is at `index` of the axis."""
    moved = np.eye(4)
    moved[axis, 3] = index
    return moved


def test_freesurfer_needs_an_orientation(tmp_path):
    nib.save(nib.Nifti1Image(RAMP, None), tmp_path / "a.nii")
    image = read_image(tmp_path / "a.nii")
    with pytest.raises(InputError, match="needs an orientation"):
        write_image(tmp_path / "out.mgz", image.pixels, image, kind="image")


@pytest.mark.parametrize(("top", "dtype"), [(255, np.uint8), (256, np.int16), (40000, np.int32)])
def test_nifti_labels_take_the_smallest_integers(tmp_path, top, dtype):
    like = nifti_like(tmp_path)
    labels = np.zeros(like.pixels.shape, int)
    labels[1, 1] = top
    write_image(tmp_path / "out.nii", labels, like, kind="labels")
    assert nib.load(tmp_path / "out.nii").get_data_dtype() == dtype


# --- what cannot be read ---


def png_bytes(**options):
    content = io.BytesIO()
    Image.fromarray(RAMP).save(content, "PNG", **options)
    return content.getvalue()


def npy_bytes(array, allow_pickle=False):
    content = io.BytesIO()
    np.save(content, array, allow_pickle=allow_pickle)
    return content.getvalue()


def npy_claim(shape):
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return content.getvalue()


def npz_bytes(**members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(f"{name}.npy", member)
    return content.getvalue()


def zip_of_text():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("readme.txt", "no array")
    return content.getvalue()


def nifti_bytes(array, affine=AFFINE):
    return nib.Nifti1Image(array, affine).to_bytes()


def nifti_claim(*lengths):
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape(lengths)
    header["magic"], header["vox_offset"] = b"n+1", 352
    return header.binaryblock + bytes(4)


def huge_png():
    """A PNG of 30000 x 30000 pixels, none of which it holds."""
    content = bytearray(png_bytes())
    content[16:24] = (30000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(b"IHDR" + content[16:29]).to_bytes(4, "big")
    return bytes(content)


def tiff_bytes(*pages):
    content = io.BytesIO()
    first, *rest = map(Image.fromarray, pages)
    first.save(content, "TIFF", save_all=True, append_images=rest)
    return content.getvalue()


def rgb_voxels():
    return np.zeros((3, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])


def flipped(content, position):
    """A copy with one bit changed, as a bad disk or download leaves it."""
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


IMAGE_GZ = gzip.compress(nifti_bytes(np.random.default_rng(0).random((30, 30)).astype(np.float32)))
VOLUME = nifti_bytes(np.zeros((4, 5, 6), np.float32))
NAN = np.array([[0, np.nan], [np.inf, 1]])

UNREADABLE = {
    "empty.png": (b"", "empty"),
    "empty.nii.gz": (b"", "empty"),
    "text.png": (b"not an image\n" * 9, "not a PNG"),
    "jpeg.tif": (b"\xff\xd8\xff\xe0" + bytes(99), "not a TIFF"),
    "really_png.nii.gz": (png_bytes(), "gzip"),
    "really_png.nii": (png_bytes(), "not a NIfTI"),
    "really_png.npy": (png_bytes(), "is a PNG image, not a NumPy array"),
    "really_png.npz": (png_bytes(), "zip"),
    "really_npy.png": (npy_bytes(RAMP), "not a PNG"),
    "short.nii": (b"\x5c\x01", "not a NIfTI"),
    "photo.jpg": (b"\xff\xd8\xff\xe0", r"\.nii\.gz"),
    "noextension": (b"1", "unsupported file type"),
    "truncated.png": (png_bytes()[:50], "damaged"),
    "tail_missing.png": (png_bytes()[:-14], "damaged"),
    "flipped_bit.png": (flipped(png_bytes(), 50), "damaged"),
    "truncated.tif": (tiff_bytes(RAMP)[:-5], "damaged"),
    "truncated_header.tif": (tiff_bytes(RAMP)[:40], "TIFF"),
    "truncated.npy": (npy_bytes(RAMP)[:-1], "truncated"),
    "truncated.npz": (npz_bytes(a=npy_bytes(RAMP))[:60], "zip"),
    "truncated.nii": (VOLUME[:-5], "truncated"),
    "truncated.nii.gz": (IMAGE_GZ[: len(IMAGE_GZ) // 2], "ended before"),
    "tail_missing.nii.gz": (IMAGE_GZ[:-4], "ended before"),
    "flipped_bit.nii.gz": (flipped(IMAGE_GZ, len(IMAGE_GZ) // 2), "damaged"),
    "short_inside.nii.gz": (gzip.compress(VOLUME[:400]), "NIfTI|volume|bytes"),
    "claims_much.nii": (nifti_claim(32767, 32767, 32767), "claims"),
    "claims_much.nii.gz": (gzip.compress(nifti_claim(32767, 32767, 32767)), "claims"),
    "claims_plane.nii.gz": (gzip.compress(nifti_claim(32767, 32767)), "claims 32767 x 32767 voxels"),
    "claims_less.nii.gz": (gzip.compress(nifti_claim(8000, 8000)), "damaged|truncated"),
    "claims_much.png": (huge_png(), "claims an image of 30000 x 30000|decompression bomb"),
    "claims_much.npy": (npy_claim((30000, 30000)), "claims an image of 30000 x 30000"),
    "claims_less.npy": (npy_claim((8000, 8000)), "truncated"),
    "claims_less.npz": (npz_bytes(a=npy_claim((8000, 8000))), "truncated"),
    "pages.tif": (tiff_bytes(RAMP, RAMP), "2 images"),
    "volume.nii": (VOLUME, r"4 x 5 x 6 voxels.*--slice y=-17.*--slice 1/2"),
    "volume.npy": (npy_bytes(np.zeros((4, 5, 6))), r"\(4, 5, 6\)"),
    "channels_first.npy": (npy_bytes(np.zeros((3, 192, 192))), r"\[H, W, C\]"),
    "line.npy": (npy_bytes(np.zeros(5)), r"\(5,\)"),
    "none.npy": (npy_bytes(np.zeros((0, 5))), "0 x 5"),
    "complex.npy": (npy_bytes(np.zeros((3, 4), complex)), "complex128"),
    "object.npy": (npy_bytes(np.array([[{}]], object), allow_pickle=True), "object"),
    "names.npy": (npy_bytes(np.array([["a"]])), "real numbers"),
    "two.npz": (npz_bytes(a=npy_bytes(RAMP), b=npy_bytes(RAMP)), "a, b"),
    "text.npz": (zip_of_text(), "holds the arrays none"),
    "zero.npz": (npz_bytes(), "none"),
    "nan.npy": (npy_bytes(NAN), "2 of 4 values are NaN"),
    "nan.nii.gz": (gzip.compress(nifti_bytes(NAN)), "2 of 4 values are NaN"),
    "large.npy": (npy_bytes(np.array([[-1e301]])), r"values up to 1e\+301"),
    "large_integers.npy": (npy_bytes(np.array([[2**60]])), "2\\^53"),
    "series.nii": (nifti_bytes(np.zeros((4, 5, 6, 2), np.float32)), "2 volumes"),
    "flat_series.nii": (nifti_bytes(np.zeros((4, 5, 1, 3), np.float32)), "3 volumes"),
    "complex.nii": (nifti_bytes(np.zeros((3, 4), np.complex64)), "complex"),
    "rgb.nii": (nifti_bytes(rgb_voxels()), "colour"),
    "flat_affine.nii": (
        nifti_bytes(np.zeros((3, 4), np.float32), np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])),
        "affine",
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable_files_end_in_one_line(tmp_path, capfd, name):
    content, expected = UNREADABLE[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=expected) as caught:
        read_image(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "array", "expected"),
    [
        ("a.npy", np.array([[0, 0.25]]), "0.25"),
        ("a.nii", np.array([[0, 0.25]]), "0.25"),
        ("a.npy", np.array([[0, 3.0002]]), "3.0002"),
        ("a.npy", np.array([[0, 2**31]]), "2147483648"),
        ("a.npy", NAN, "2 of 4 values are NaN"),
        ("a.npy", np.zeros((3, 4, 2)), r"\[H, W\]"),
        ("a.png", np.arange(18, dtype=np.uint8).reshape(2, 3, 3), "colour"),
    ],
)
def test_images_that_are_no_label_maps(tmp_path, name, array, expected):
    path = tmp_path / name
    if name.endswith(".png"):
        save_pillow(path, array)
    else:
        np.save(path, array) if name.endswith(".npy") else save_nifti(path, array)
    with pytest.raises(InputError, match=expected) as caught:
        read_image(path, labels=True)
    assert str(caught.value).startswith(f"{path}: ")


def test_16_bit_colour_is_refused(tmp_path):
    def chunk(name, content):
        return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")

    header = (2).to_bytes(4, "big") + (1).to_bytes(4, "big") + bytes([16, 2, 0, 0, 0])
    rows = zlib.compress(bytes(1) + bytes(range(12)))
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match="16-bit colour"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["missing.png", "folder.png", "file.png/in_it.png", "pipe.png", "x" * 300 + ".png"])
def test_paths_that_are_no_files(tmp_path, name):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file.png").write_bytes(png_bytes())
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError) as caught:
        read_image(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")


def test_a_line_break_in_a_name_stays_out_of_the_message(tmp_path):
    with pytest.raises(InputError) as caught:
        read_image(tmp_path / "two\nlines.png")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permission_denied(tmp_path):
    path = save_pillow(tmp_path / "a.png", RAMP)
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        read_image(path)


def test_header_repairs_are_not_printed(tmp_path, capfd):
    content = bytearray(nifti_bytes(np.zeros((3, 4), np.float32)))
    content[76:80] = np.float32(-7).tobytes()  # pixdim[0], which nibabel sets right and says so
    (tmp_path / "a.nii").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_image(tmp_path / "a.nii")
    assert capfd.readouterr() == ("", "")


# --- what cannot be written ---


@pytest.mark.parametrize(
    ("name", "pixels", "kind", "expected"),
    [
        ("folder.png", RAMP, "labels", "folder"),
        ("file/a.png", RAMP, "labels", "no folder"),
        ("missing/a.png", RAMP, "labels", "no folder"),
        ("a.jpg", RAMP, "labels", "unsupported"),
        ("a.png", [[-1, 0]], "labels", "-1 to 0"),
        ("a.tif", [[0, 65536]], "labels", "65536"),
        ("a.npy", [[0, 2**31]], "labels", "2147483648"),
        ("a.npy", [[0, 0.5]], "labels", "0.5"),
        ("a.png", [[0, np.nan]], "image", "NaN"),
        ("a.nii.gz", RAMP, "labels", "NIfTI target"),
    ],
)
def test_failed_writes_leave_nothing(tmp_path, name, pixels, kind, expected):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=expected) as caught:
        write_image(tmp_path / name, np.array(pixels), None, kind=kind)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "folder.png"]


def test_a_failed_write_keeps_the_file_that_was_there(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", RAMP, None, kind="labels")
    before = (tmp_path / "a.png").read_bytes()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(InputError, match="No space left"):
        write_image(tmp_path / "a.png", RAMP + 1, None, kind="labels")
    assert (tmp_path / "a.png").read_bytes() == before
    assert os.listdir(tmp_path) == ["a.png"]


def test_a_write_replaces_the_file_and_leaves_no_other(tmp_path):
    for step in range(2):
        write_image(tmp_path / "a.npz", RAMP + step, None, kind="labels")
    np.testing.assert_array_equal(read_image(tmp_path / "a.npz").pixels, RAMP + 1)
    assert os.listdir(tmp_path) == ["a.npz"]
    usual = tmp_path / "usual"
    usual.touch()
    assert stat.S_IMODE((tmp_path / "a.npz").stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


@pytest.mark.parametrize(("name", "shape"), [("a.nii", (4, 4)), ("a.png", (3, 4, 1))])
def test_pixels_of_another_shape_are_a_programming_error(tmp_path, name, shape):
    with pytest.raises(ValueError, match=r"shape|fit"):
        write_image(tmp_path / name, np.zeros(shape), nifti_like(tmp_path), kind="image")


# --- names, and what importing costs ---


@pytest.mark.parametrize(
    ("name", "stem", "suffix"),
    [
        ("a.png", "a", ".png"),
        ("dir.png/sub-01_in.NII.GZ", "sub-01_in", ".nii.gz"),
        ("a.b.nii", "a.b", ".nii"),
        ("a.gz", "a.gz", ""),
        ("a.png.txt", "a.png.txt", ""),
    ],
)
def test_suffix_and_stem(name, stem, suffix):
    assert (image_stem(name), image_suffix(name)) == (stem, suffix)


def test_importing_loads_no_image_library():
    code = (
        "import sys, neuralizer_jax.files.image_files, neuralizer_jax.files.context_files\n"
        "print({m.split('.')[0] for m in sys.modules} & {'PIL', 'nibabel', 'scipy', 'jax', 'flax'})"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
