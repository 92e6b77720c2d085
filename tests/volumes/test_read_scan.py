"""Scans and label maps from files, stored in different orders."""

import nibabel as nib
import numpy as np
import pytest
from miniature_head import save

from neuralizer_jax.errors import InputError
from neuralizer_jax.volumes.read_scan import read_example, read_scan, scan_of

VALUES = np.arange(60.0, dtype=np.float32).reshape(3, 4, 5)
AFFINE = np.array([[2.0, 0, 0, -10], [0, 1, 0, 20], [0, 0, 3, 5], [0, 0, 0, 1]])


def test_a_scan_keeps_the_order_of_its_file(tmp_path):
    scan = read_scan(save(tmp_path / "scan.nii.gz", VALUES, AFFINE, "LPS"))
    np.testing.assert_array_equal(scan.values, VALUES[::-1, ::-1])
    np.testing.assert_array_equal(np.diag(scan.affine), (-2, -1, 3, 1))
    np.testing.assert_array_equal(scan.canonical().values, VALUES)


def test_labels_may_be_stored_in_another_order(tmp_path):
    scan = save(tmp_path / "scan.nii.gz", VALUES, AFFINE, "PSR")
    labels = save(tmp_path / "labels.mgz", (VALUES > 20).astype(np.uint8), AFFINE, "LIA")
    example = read_example(scan, labels)
    np.testing.assert_array_equal(example.labels, example.scan.values > 20)


@pytest.mark.parametrize("moved", [0.6, 40])
def test_labels_elsewhere_are_refused(tmp_path, moved):
    scan = save(tmp_path / "scan.nii.gz", VALUES, AFFINE)
    elsewhere = AFFINE + moved * np.eye(4, k=3)
    with pytest.raises(InputError, match=r"labels.nii.gz: lies on other voxels than"):
        read_example(scan, save(tmp_path / "labels.nii.gz", (VALUES > 20).astype(np.uint8), elsewhere))
    with pytest.raises(InputError, match=r"labels.nii.gz: lies on other voxels than"):
        read_example(scan, save(tmp_path / "labels.nii.gz", (VALUES[:, :3] > 20).astype(np.uint8), AFFINE))


def test_files_without_orientation_or_with_several_volumes_are_refused(tmp_path):
    plain = nib.Nifti1Image(VALUES, None)
    nib.save(plain, tmp_path / "plain.nii")
    with pytest.raises(InputError, match=r"plain.nii: left and right"):
        read_scan(tmp_path / "plain.nii")
    series = save(tmp_path / "series.nii", np.stack([VALUES, VALUES], axis=-1), AFFINE)
    with pytest.raises(InputError, match=r"series.nii: holds 2 volumes"):
        read_scan(series)


def test_from_nibabel():
    scan = scan_of(nib.Nifti1Image(VALUES[..., None], AFFINE), "mine")
    np.testing.assert_array_equal(scan.values, VALUES)
    assert scan.name == "mine"
