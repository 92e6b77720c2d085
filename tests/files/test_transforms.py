"""The files of an alignment mean to ITK what they mean here."""

import numpy as np
import SimpleITK as sitk

from neuralizer_jax.files.transforms import write_itk_transform, write_itk_warp, write_matrix
from neuralizer_jax.volumes.displacement import FIELD_AFFINE, moved

from ..volumes.test_displacement import waves

TO_MNI = np.array([[1.1, 0.1, 0, 5], [0, 0.9, 0.2, -7], [0.1, 0, 1, 11], [0, 0, 0, 1]])


def test_itk_leads_from_the_template_to_the_scan(tmp_path):
    field = waves()
    write_itk_transform(tmp_path / "x.tfm", TO_MNI)
    write_itk_warp(tmp_path / "x.nii.gz", field, FIELD_AFFINE)
    warp = sitk.DisplacementFieldTransform(sitk.Cast(sitk.ReadImage(tmp_path / "x.nii.gz"), sitk.sitkVectorFloat64))
    affine = sitk.ReadTransform(tmp_path / "x.tfm")
    places = np.random.default_rng(0).uniform(-50, 50, (3, 20))
    there = moved(places, field)
    expected = np.linalg.inv(TO_MNI)[:3] @ np.vstack([there, np.ones(20)])
    flip = np.array([-1, -1, 1])
    for place, scan in zip(places.T, expected.T, strict=True):
        found = affine.TransformPoint(warp.TransformPoint(flip * place))
        np.testing.assert_allclose(flip * found, scan, atol=1e-3)


def test_the_matrix_is_read_back(tmp_path):
    write_matrix(tmp_path / "x.txt", TO_MNI)
    np.testing.assert_allclose(np.loadtxt(tmp_path / "x.txt"), TO_MNI)
