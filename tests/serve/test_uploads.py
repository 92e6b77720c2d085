"""Dropped files are stored under their names and never over others; a DICOM series becomes a volume."""

import io

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from workbench_files import picture, save_volume

from neuralizer_jax.errors import InputError
from neuralizer_jax.serve.uploads import store, store_dicom


def dicom(folder, values, spacing=(1.5, 1.25, 4.0), series="1.2.3"):
    """Writes `[Z, Y, X]` slice by slice, feet first."""
    folder.mkdir(parents=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for z, plane in enumerate(values):
        image = sitk.GetImageFromArray(plane.astype(np.int16)[None])
        image.SetSpacing(spacing)
        for tag, text in (
            ("0008|0060", "MR"), ("0020|000e", series), ("0020|000d", "1.2"), ("0008|0018", f"{series}.{z}"),
            ("0020|0013", str(z)), ("0020|0032", f"-20\\-30\\{10 + z * spacing[2]}"),
            ("0020|0037", "1\\0\\0\\0\\1\\0"), ("0010|0010", "Secret^Name"),
        ):  # fmt: skip
            image.SetMetaData(tag, text)
        path = folder / f"IM{(z * 7) % len(values):03d}.dcm"
        writer.SetFileName(str(path))
        writer.Execute(image)
        path.rename(path.with_name(f"{path.stem}{series[-1]}"))  # scanners give no ending
    return folder


def files_of(*folders):
    return [
        (f"study/{path.name}", io.BytesIO(path.read_bytes())) for folder in folders for path in sorted(folder.iterdir())
    ]


def test_dicom_series_becomes_a_volume_in_its_place(tmp_path):
    values = np.random.default_rng(0).integers(0, 900, (9, 12, 10))
    folder = dicom(tmp_path / "dicom", values)
    (folder / "DICOMDIR.txt").write_text("not an image")
    (stored,) = store_dicom(files_of(folder), tmp_path / "scans")
    assert stored.name == "study.nii.gz"
    image = nib.load(stored)
    assert np.array_equal(np.asarray(image.dataobj), values.transpose(2, 1, 0))
    # DICOM has left and posterior positive.
    expected = np.array([[-1.5, 0, 0, 20], [0, -1.25, 0, 30], [0, 0, 4, 10], [0, 0, 0, 1]])
    assert np.allclose(image.affine, expected)
    assert image.header["sform_code"] > 0
    assert b"Secret" not in image.to_bytes()


def test_every_series_is_stored(tmp_path):
    rng = np.random.default_rng(0)
    one, two = (dicom(tmp_path / name, rng.integers(0, 900, (5, 12, 10)), series=f"1.2.{name}") for name in ("3", "4"))
    stored = store_dicom(files_of(one, two), tmp_path / "scans")
    assert [path.name for path in stored] == ["study.nii.gz", "study_series-2.nii.gz"]


def test_files_without_a_series_are_refused(tmp_path):
    for files in ([], [("a/x.dcm", io.BytesIO(b"no"))], [("a/x", io.BytesIO(bytes(128) + b"DICM" + bytes(99)))]):
        with pytest.raises(InputError, match="no DICOM series"):
            store_dicom(files, tmp_path / "scans")
    assert not (tmp_path / "scans").exists()


def test_same_file_is_stored_once_and_another_of_its_name_beside_it(tmp_path):
    one, two = (save_volume(tmp_path / f"{n}.nii.gz", picture(n)).read_bytes() for n in (1, 2))
    stored = [store("s.nii.gz", io.BytesIO(content), tmp_path / "scans").name for content in (one, one, two, two)]
    assert stored == ["s.nii.gz", "s.nii.gz", "s-2.nii.gz", "s-2.nii.gz"]
    assert (tmp_path / "scans/s.nii.gz").read_bytes() == one
