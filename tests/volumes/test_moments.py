"""Moments do not depend on how a scan is stored."""

import numpy as np
import pytest

from neuralizer_jax.volumes.moments import label_moments, moments


def ellipsoid(centre, half, shape=(60, 70, 50)):
    grid = np.indices(shape) - np.reshape(centre, (3, 1, 1, 1))
    return (grid**2 / np.reshape(np.square(half), (3, 1, 1, 1))).sum(axis=0) <= 1


def test_moments_do_not_depend_on_the_storage():
    mask = ellipsoid((20, 30, 20), (8, 12, 9))
    affine = np.array([[1.5, 0.1, 0, -20], [0, 1, 0.2, 5], [0, 0, 2, 7], [0, 0, 0, 1]])
    flipped = affine @ np.array([[0, -1, 0, 59], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    one, other = moments(mask, affine), moments(np.swapaxes(mask[::-1], 0, 1), flipped)
    for name in ("centre", "length", "low", "high", "mm3"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-9)


def test_labels_that_an_example_does_not_show_have_no_moments():
    labels = np.zeros((5, 6, 7), np.uint16)
    labels[1:3, 2, 2] = 2035
    labels[4, 4, 4] = 3
    found = label_moments(labels, np.diag([2.0, 1, 1, 1]), (17, 2035))
    assert list(found) == [2035]
    assert found[2035].centre == pytest.approx((3, 2, 2))
    assert found[2035].mm3 == pytest.approx(4)


def test_the_length_is_that_of_a_box():
    assert moments(np.ones((40, 3, 3), bool), np.eye(4)).length == pytest.approx(np.sqrt(40**2 + 2 * 3**2), rel=0.01)
    assert moments(np.ones((1, 1, 1), bool), np.eye(4)).length == 1
