"""A volume is read into one order whatever order its file has, and a file that holds none is refused in one line."""

import errno
import gzip
import itertools
import os
import re
import struct
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.endings import volume_ending
from neuralizer_jax.files.volumes import MAX_VOXELS, read_volume

AFFINE = np.array([[0.9, 0.1, 0, -40], [-0.1, 1.1, 0.05, -50], [0, -0.05, 1.2, -30], [0, 0, 0, 1.0]])
VOLUME = np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7)
FLOATS = VOLUME.astype(np.float32)


def nifti(array, affine=AFFINE, image=nib.Nifti1Image, codes=(1, 1)):
    """Bytes of a NIfTI file; `codes` are those of sform and qform."""
    volume = image(array, affine)
    volume.header["sform_code"], volume.header["qform_code"] = codes
    return image(array, None, volume.header).to_bytes()


def mgh(array, affine=AFFINE):
    return nib.MGHImage(array, affine).to_bytes()


def patched(content, *changes):
    """Bytes with others written over them, as (offset, struct format, values)."""
    content = bytearray(content)
    for offset, form, *values in changes:
        struct.pack_into(form, content, offset, *values)
    return bytes(content)


def sform(content, rows):
    return patched(content, (280, "<12f", *np.ravel(rows)))


def with_values(*values):
    array = FLOATS.copy()
    array.flat[: len(values)] = values
    return array


RGB = np.zeros((5, 6, 7), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
GOOD = nifti(FLOATS)
PACKED = gzip.compress(nifti(np.random.default_rng(0).random((5, 6, 7)).astype(np.float32)), mtime=0)
GOOD_MGH = mgh(FLOATS)

BAD_FILES = {
    "no_ending": (GOOD, "unsupported file type"),
    "volume.png": (GOOD, r"expected a name that ends in \.nii\.gz, "),
    "empty.nii": (b"", "empty"),
    "empty.nii.gz": (b"", "empty"),
    "empty.mgz": (gzip.compress(b""), "not a FreeSurfer"),
    "text.nii": (b"not a volume " * 50, "not a NIfTI"),
    "text.nii.gz": (b"not a volume " * 50, "is not a gzip file"),
    "text.mgz": (gzip.compress(b"not a volume " * 50), "not a FreeSurfer"),
    "plain.nii.gz": (GOOD, "is a NIfTI file, not a gzip file"),
    "packed.nii": (PACKED, "not a NIfTI"),
    "nifti.mgz": (PACKED, "not a FreeSurfer"),
    "mgh.nii": (GOOD_MGH, "not a NIfTI"),
    "cut_in_header.nii": (GOOD[:200], "not a NIfTI"),
    "header_only.nii": (GOOD[:352], "truncated: 352 bytes, its header promises 1192"),
    "header_only.nii.gz": (gzip.compress(GOOD[:352]), "(?i)damaged"),
    "one_byte_short.nii": (GOOD[:-1], "truncated"),
    "one_byte_short.nii.gz": (gzip.compress(GOOD[:-1]), "(?i)damaged"),
    "one_byte_short.mgh": (GOOD_MGH[: 284 + 4 * 210 - 1], "truncated"),
    "cut.nii.gz": (PACKED[: len(PACKED) // 2], "end-of-stream"),
    "cut_in_checksum.nii.gz": (PACKED[:-6], "end-of-stream"),
    "checksum.nii.gz": (patched(PACKED, (len(PACKED) - 8, "<I", 1)), "CRC"),
    "checksum.mgz": (patched(gz := gzip.compress(GOOD_MGH), (len(gz) - 8, "<I", 1)), "CRC"),
    "cut.mgz": (gz[: len(gz) // 2], "end-of-stream"),
    "damaged.nii.gz": (PACKED[:400] + bytes(200) + PACKED[600:], "damaged"),
    "series.nii": (nifti(np.ones((5, 6, 7, 9), np.float32)), "holds 9 volumes of 5 x 6 x 7"),
    "vectors.nii.gz": (gzip.compress(nifti(np.ones((5, 6, 7, 1, 3), np.float32))), "holds 3 volumes"),
    "series.mgz": (gzip.compress(mgh(np.ones((5, 6, 7, 4), np.float32))), "holds 4 volumes"),
    "plane.nii": (nifti(FLOATS[0]), "plane of 6 x 7"),
    "one_plane.nii": (nifti(FLOATS[:, :1]), "plane of 5 x 1 x 7"),
    "plane.mgz": (gzip.compress(mgh(FLOATS[..., :1])), "plane of 5 x 6 x 1"),
    "no_voxels.nii": (patched(GOOD, (44, "<h", 0)), "claims 5 x 0 x 7 voxels"),
    "negative.nii": (patched(GOOD, (44, "<h", -6)), "claims 5 x -6 x 7 voxels"),
    "complex.nii": (nifti(np.ones((5, 6, 7), np.complex64)), "complex"),
    "rgb.nii": (nifti(RGB), "colour"),
    "nan.nii": (nifti(with_values(np.nan, np.inf, -np.inf)), "3 of 210 values are NaN or infinite"),
    "beyond_float32.nii": (nifti(np.full((5, 6, 7), 1e300)), "210 of 210"),
    "nan.mgz": (gzip.compress(mgh(with_values(np.nan))), "1 of 210"),
    "constant.nii": (nifti(np.full((5, 6, 7), 7.5, np.float32)), r"constant \(all voxels are 7\.5\)"),
    "zero.mgh": (mgh(np.zeros((5, 6, 7), np.uint8)), "constant"),
    "nan_affine.nii": (sform(GOOD, [[np.nan, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]), "affine holds NaN"),
    "inf_affine.nii": (sform(GOOD, [[1, 0, 0, np.inf], [0, 1, 0, 0], [0, 0, 1, 0]]), "affine holds NaN or inf"),
    "zero_affine.nii": (sform(GOOD, np.zeros((3, 4))), "singular"),
    "flat_affine.nii": (sform(GOOD, [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0]]), "singular"),
    "zero_affine.mgh": (patched(GOOD_MGH, (30, ">3f", 0, 1, 1)), "singular"),
    "nowhere.nii": (nifti(FLOATS, codes=(0, 0)), "left and right"),
    "nowhere.nii.gz": (gzip.compress(nifti(FLOATS, image=nib.Nifti2Image, codes=(0, 0))), "left and right"),
    "nowhere.mgh": (patched(GOOD_MGH, (28, ">h", 0)), "left and right"),
    "unknown_type.mgh": (patched(GOOD_MGH, (20, ">i", 99)), "99"),
}

ONLY_BAD_IMAGES = ("constant.nii", "zero.mgh")

BAD_LABELS = {
    "fraction.nii": (nifti(with_values(0.5)), "value 0.5, expected a mask or label map"),
    "nearly.nii": (nifti(with_values(3.0002)), "value 3.0002"),
    "negative.nii": (nifti(with_values(-1)), "value -1"),
    "large.nii": (nifti(np.full((5, 6, 7), 65536, np.int32)), "value 65536"),
    "nan.nii": (nifti(with_values(np.nan)), "NaN"),
}


def refusal(path, **options):
    with pytest.raises(InputError) as caught:
        read_volume(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("name", "labels"),
    [(name, labels) for name in BAD_FILES for labels in (False, True) if not labels or name not in ONLY_BAD_IMAGES],
)
def test_bad_files_end_in_one_line(tmp_path, capfd, name, labels):
    content, expected = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    message = refusal(tmp_path / name, labels=labels)
    assert re.search(expected, message)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", [*BAD_LABELS])
def test_files_that_are_no_label_maps(tmp_path, name):
    content, expected = BAD_LABELS[name]
    (tmp_path / name).write_bytes(content)
    assert expected in refusal(tmp_path / name, labels=True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("missing.nii.gz", "No such file"),
        ("missing/a.nii", "No such file"),
        ("folder.nii", "is a folder"),
        ("pipe.nii.gz", "not a regular file"),
        ("x" * 300 + ".nii", "name too long"),
    ],
)
def test_paths_that_are_no_files(tmp_path, name, expected):
    (tmp_path / "folder.nii").mkdir()
    os.mkfifo(tmp_path / "pipe.nii.gz")
    assert expected in refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mgh", "a.mgz"])
def test_absurd_sizes_are_refused_before_memory_is_taken(tmp_path, name):
    size = 30000
    content = patched(GOOD, (42, "<3h", *[size] * 3))
    if "mg" in name:
        content = patched(GOOD_MGH, (4, ">3i", *[size] * 3))
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("z") else content)
    tracemalloc.start()
    message = refusal(tmp_path / name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert f"claims 30000 x 30000 x 30000 voxels, expected at most {MAX_VOXELS}" in message
    assert peak < 2**22


def test_what_nibabel_repairs_is_not_printed(tmp_path, caplog):
    (tmp_path / "a.nii").write_bytes(content := patched(GOOD, (80, "<f", -1.0)))
    read_volume(tmp_path / "a.nii")
    assert not caplog.records
    nib.Nifti1Image.from_bytes(content)
    assert "should be positive" in caplog.text


# --- order and place ---


def stored(array, affine, order, flips):
    """The same volume with its axes in another order, some of them backwards."""
    orientation = [[order.index(axis), -1 if axis in flips else 1] for axis in range(3)]
    image = nib.Nifti1Image(array, affine).as_reoriented(np.array(orientation))
    return np.asarray(image.dataobj), image.affine


ORDERS = [
    *(((0, 1, 2), flips) for flips in [(), (0,), (0, 1), (2,)]),
    *[((1, 0, 2), ()), ((2, 1, 0), (0, 1, 2)), ((1, 2, 0), (1,)), ((2, 0, 1), (0, 2))],
]


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mgz"])
@pytest.mark.parametrize(("order", "flips"), ORDERS)
def test_any_axis_order_reads_the_same(tmp_path, order, flips, ending):
    path = tmp_path / f"a{ending}"
    image = nib.MGHImage if ending == ".mgz" else nib.Nifti1Image
    nib.save(image(*stored(VOLUME, AFFINE, order, flips)), path)
    volume, affine = read_volume(path)
    np.testing.assert_array_equal(volume, VOLUME)
    np.testing.assert_allclose(affine, AFFINE, atol=1e-4)
    assert (volume.dtype, affine.dtype) == (np.float32, np.float64)
    assert volume.flags.c_contiguous


@pytest.mark.parametrize(
    "array", [VOLUME[..., None], VOLUME[..., None, None], VOLUME.astype(">f8"), VOLUME.astype("u1")]
)
@pytest.mark.parametrize("image", [nib.Nifti1Image, nib.Nifti2Image])
def test_shapes_and_types_of_one_volume(tmp_path, array, image):
    (tmp_path / "A.NII").write_bytes(nifti(array, image=image))
    np.testing.assert_array_equal(read_volume(tmp_path / "A.NII")[0], VOLUME)


@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (4, 2)])
def test_either_code_places_a_volume(tmp_path, codes):
    rigid = np.diag([0.9, 1.1, 1.2, 1]) + np.array([[0, 0, 0, -40], [0, 0, 0, -50], [0, 0, 0, -30], [0, 0, 0, 0]])
    (tmp_path / "a.nii").write_bytes(nifti(VOLUME, rigid, codes=codes))
    np.testing.assert_allclose(read_volume(tmp_path / "a.nii")[1], rigid, atol=1e-5)


def test_scaling_is_applied(tmp_path):
    image = nib.Nifti1Image(VOLUME, AFFINE)
    (tmp_path / "a.nii").write_bytes(patched(image.to_bytes(), (112, "<2f", 0.5, -3)))
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii")[0], VOLUME * 0.5 - 3)


# --- labels ---


@pytest.mark.parametrize(
    ("ending", "dtype"),
    [
        *itertools.product([".nii.gz", ".mgz"], [np.uint8, np.int16, np.uint16, np.int32, np.float32]),
        (".nii.gz", np.float64),
    ],
)
def test_labels_come_back_as_they_were(tmp_path, ending, dtype):
    top = 65535 if np.dtype(dtype).kind == "f" else min(65535, np.iinfo(dtype).max)
    labels = np.random.default_rng(1).integers(0, top + 1, (5, 6, 7))
    labels.flat[:2] = 0, top
    image = nib.MGHImage if ending == ".mgz" else nib.Nifti1Image
    nib.save(image(labels.astype(dtype), AFFINE), tmp_path / f"a{ending}")
    volume, _ = read_volume(tmp_path / f"a{ending}", labels=True)
    assert volume.dtype == np.uint16
    np.testing.assert_array_equal(volume, labels)


@pytest.mark.parametrize("inter", [0, -0.7])
def test_labels_behind_a_scale_factor_are_whole(tmp_path, inter):
    content = nib.Nifti1Image((VOLUME * 100 - round(10 * inter)).astype(np.int16), AFFINE).to_bytes()
    (tmp_path / "a.nii").write_bytes(patched(content, (112, "<2f", 0.1, inter)))
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii", labels=True)[0], VOLUME * 10)


def test_labels_with_a_rounding_error_are_whole(tmp_path):
    (tmp_path / "a.nii").write_bytes(nifti(FLOATS * np.float32(1 - 1e-7)))
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii", labels=True)[0], VOLUME)


def test_one_label_everywhere_is_a_label_map(tmp_path):
    (tmp_path / "a.nii").write_bytes(nifti(np.full((5, 6, 7), 7, np.uint8)))
    assert (read_volume(tmp_path / "a.nii", labels=True)[0] == 7).all()


# --- the grid of another file ---


def test_labels_take_the_place_of_their_image(tmp_path):
    """Also where their own header is shifted, turned, or says nothing."""
    array, affine = stored(VOLUME, AFFINE, (1, 2, 0), (1,))
    (tmp_path / "image.nii").write_bytes(nifti(array, affine))
    for wrong, codes in [(affine + np.eye(4)[:, ::-1] * 20, (1, 1)), (np.eye(4), (1, 1)), (affine, (0, 0))]:
        wrong[3] = 0, 0, 0, 1
        (tmp_path / "labels.nii").write_bytes(nifti(array, wrong, codes=codes))
        labels, place = read_volume(tmp_path / "labels.nii", labels=True, grid_of=tmp_path / "image.nii")
        np.testing.assert_array_equal(labels, VOLUME)
        np.testing.assert_allclose(place, AFFINE, atol=1e-5)


def test_a_grid_of_another_shape_is_refused(tmp_path):
    (tmp_path / "image.nii").write_bytes(nifti(FLOATS[:4]))
    (tmp_path / "labels.nii").write_bytes(nifti(VOLUME))
    message = refusal(tmp_path / "labels.nii", labels=True, grid_of=tmp_path / "image.nii")
    assert "has 5 x 6 x 7 voxels, expected 4 x 6 x 7" in message
    assert str(tmp_path / "image.nii") in message
    with pytest.raises(InputError, match=f"^{tmp_path}/gone.nii: "):
        read_volume(tmp_path / "labels.nii", grid_of=tmp_path / "gone.nii")


# --- what reading costs, and names ---


@pytest.mark.parametrize("slope", [1, 2])
@pytest.mark.parametrize(("dtype", "labels"), [*itertools.product([np.int16, np.float32], [False, True])])
def test_peak_memory(tmp_path, dtype, labels, slope):
    array = np.random.default_rng(0).integers(0, 99, (96, 96, 96)).astype(dtype)
    image = nib.Nifti1Image(array, np.diag([-1, 1, 1, 1.0]))
    image.header.set_slope_inter(slope, 10 * slope)
    nib.save(image, tmp_path / "a.nii.gz")
    read_volume(tmp_path / "a.nii.gz", labels=labels)
    tracemalloc.start()
    volume, _ = read_volume(tmp_path / "a.nii.gz", labels=labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert volume.shape == array.shape
    assert peak < 3 * 4 * array.size


@pytest.mark.parametrize(
    ("name", "ending"),
    [("a.nii.gz", ".nii.gz"), ("b.c.NII", ".nii"), ("d.mgz", ".mgz"), ("e.mgh", ".mgh"), ("f.gz", ""), ("nii", "")],
)
def test_endings(tmp_path, name, ending):
    assert volume_ending(tmp_path / name) == ending


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), MemoryError()])
def test_a_fault_of_the_machine_is_none_of_the_file(tmp_path, monkeypatch, error):
    def fails(*_, **__):
        raise error

    path = tmp_path / "T1.nii"
    path.write_bytes(nifti(VOLUME))
    monkeypatch.setattr("nibabel.arrayproxy.ArrayProxy.get_unscaled", fails)
    with pytest.raises(OSError, match=r"Input/output error|Cannot allocate memory") as caught:
        read_volume(path)
    assert caught.value.filename == str(path)
