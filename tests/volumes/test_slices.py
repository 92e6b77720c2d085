"""Slices are shown as people show them, and lead back to the crop they were cut from."""

import numpy as np
import pytest

from neuralizer_jax.volumes.slices import PLANES, slices_of


@pytest.mark.parametrize("plane", PLANES)
def test_slices_are_a_view_of_the_crop(plane):
    crop = np.zeros((4, 5, 6))
    slices_of(crop, plane)[2] = 1
    assert np.take(crop, 2, PLANES[plane]).all()
    assert crop.sum() == np.take(crop, 2, PLANES[plane]).size


def test_rows_and_columns():
    x, y, z = np.indices((4, 5, 6))
    # Superior at the top, anterior at the top of an axial slice; left (-x) on the left.
    assert (np.diff(slices_of(z, "coronal"), axis=1) == -1).all()
    assert (np.diff(slices_of(x, "coronal"), axis=2) == 1).all()
    assert (np.diff(slices_of(z, "sagittal"), axis=1) == -1).all()
    assert (np.diff(slices_of(y, "sagittal"), axis=2) == 1).all()
    assert (np.diff(slices_of(y, "axial"), axis=1) == -1).all()
    assert (np.diff(slices_of(x, "axial"), axis=2) == 1).all()
