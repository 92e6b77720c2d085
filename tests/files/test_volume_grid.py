"""Results of whole volumes lie on their scan, whatever file it is stored in, and are written whole."""

import nibabel as nib
import numpy as np
import pytest

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.volume_grid import is_volume, lies_on, read_grid, write_labels, write_probabilities

AFFINE = np.array([[0, 1.5, 0.1, -40], [-0.9, 0, 0, 50], [0, 0.1, -1.2, 30], [0, 0, 0, 1.0]])
LABELS = np.random.default_rng(0).integers(0, 3, (5, 6, 7))


def stored(path, array=LABELS, affine=AFFINE, codes=(1, 2), unit="mm"):
    """Writes a scan; `codes` are those of sform and qform."""
    if path.suffix == ".mgz":
        image = nib.MGHImage(array.astype(np.float32), affine)
    else:
        image = nib.Nifti1Image(array.astype(np.float32), affine)
        image.set_sform(affine, codes[0])
        image.set_qform(affine, codes[1], strip_shears=True)
        image.header.set_xyzt_units(unit)
        image.header["cal_max"] = 90
        image.header["descrip"] = b"3T"
    nib.save(image, path)
    return path


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mgz"])
@pytest.mark.parametrize(("largest", "dtype"), [(2, np.uint8), (2035, np.int16), (40_000, np.int32)])
def test_labels_lie_on_their_scan(tmp_path, suffix, largest, dtype):
    scan, out = stored(tmp_path / f"scan{suffix}"), tmp_path / f"labels{suffix}"
    labels = np.where(LABELS == 2, largest, LABELS)
    write_labels(out, labels, read_grid(scan))
    written, given = nib.load(out), nib.load(scan)
    np.testing.assert_array_equal(np.asarray(written.dataobj), labels)
    assert written.get_data_dtype().newbyteorder("=") == dtype
    np.testing.assert_array_equal(written.affine, given.affine)
    if suffix != ".mgz":
        for key in ("sform_code", "qform_code", "quatern_b", "xyzt_units", "descrip", "pixdim"):
            assert written.header[key].tolist() == given.header[key].tolist()
        assert (written.header["cal_max"], written.header.get_intent()[0]) == (0, "label")
    assert read_grid(out).voxel_mm3 == pytest.approx(abs(np.linalg.det(AFFINE[:3, :3])), rel=1e-5)


@pytest.mark.parametrize("suffix", [".nii.gz", ".mgz"])
def test_probabilities_are_one_volume_a_label(tmp_path, suffix):
    probabilities = np.random.default_rng(0).random((2, *LABELS.shape), np.float32)
    scan, out = stored(tmp_path / f"scan{suffix}"), tmp_path / f"prob{suffix}"
    write_probabilities(out, probabilities, read_grid(scan))
    written = nib.load(out)
    np.testing.assert_array_equal(np.moveaxis(written.get_fdata(dtype=np.float32), -1, 0), probabilities)
    np.testing.assert_array_equal(written.affine, nib.load(scan).affine)


def test_the_same_result_is_the_same_file(tmp_path):
    grid = read_grid(stored(tmp_path / "scan.nii.gz"))
    for name in ("a.nii.gz", "b.nii.gz"):
        write_labels(tmp_path / name, LABELS, grid)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_failed_write_leaves_the_file_that_was_there(tmp_path, full_disk):
    noise = np.random.default_rng(0).integers(0, 200, (20, 20, 20))
    grid = read_grid(stored(tmp_path / "scan.nii", noise))
    (tmp_path / "out.nii.gz").write_bytes(b"before")
    with full_disk(), pytest.raises(InputError, match="cannot be written"):
        write_labels(tmp_path / "out.nii.gz", noise, grid)
    assert (tmp_path / "out.nii.gz").read_bytes() == b"before"
    assert {path.name for path in tmp_path.iterdir()} == {"scan.nii", "out.nii.gz"}


def test_microns_are_millimetres(tmp_path):
    scaled = np.diag([1000, 1000, 1000, 1]) @ AFFINE
    grids = [
        read_grid(stored(tmp_path / "um.nii", affine=scaled, unit="micron")),
        read_grid(stored(tmp_path / "mm.nii")),
    ]
    assert lies_on(*grids)
    assert grids[0].voxel_mm3 == pytest.approx(grids[1].voxel_mm3, rel=1e-4)


@pytest.mark.parametrize(("moved", "expected"), [(0.0, True), (0.2, True), (0.6, False)])
def test_labels_may_be_stored_in_another_order_but_not_elsewhere(tmp_path, moved, expected):
    scan = read_grid(stored(tmp_path / "scan.nii"))
    image = nib.Nifti1Image(LABELS.astype(np.uint8), AFFINE + moved * np.outer(AFFINE[:, 0], [0, 0, 0, 1]))
    turned = image.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
    turned.set_sform(turned.affine, 1)
    nib.save(turned, tmp_path / "labels.nii")
    assert lies_on(read_grid(tmp_path / "labels.nii"), scan) is expected


@pytest.mark.parametrize(
    ("shape", "codes", "message"),
    [((5, 6, 1), (1, 0), "is a plane"), ((5, 6, 7), (0, 0), "left and right"), ((5, 6, 7, 2), (1, 0), "2 volumes")],
)
def test_what_is_no_volume_is_refused(tmp_path, shape, codes, message):
    path = stored(tmp_path / "scan.nii", np.zeros(shape), codes=codes)
    with pytest.raises(InputError, match=message) as caught:
        read_grid(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_is_volume(tmp_path):
    (tmp_path / "damaged.nii").write_bytes(b"x" * 400)
    stored(tmp_path / "plane.nii", np.zeros((5, 1, 7)))
    assert [is_volume(stored(tmp_path / "scan.mgz")), is_volume(tmp_path / "plane.nii")] == [True, False]
    assert not any(map(is_volume, (tmp_path / "damaged.nii", tmp_path / "none.nii", tmp_path / "picture.png")))
