"""Realignment finds by how much one structure was moved and scaled against another."""

import numpy as np
import pytest

from neuralizer_jax.volumes.moments import label_moments, moments, plausible, realignment


def ellipsoid(centre, half, shape=(60, 70, 50)):
    grid = np.indices(shape) - np.reshape(centre, (3, 1, 1, 1))
    return (grid**2 / np.reshape(np.square(half), (3, 1, 1, 1))).sum(axis=0) <= 1


def test_realignment_finds_shift_and_scale():
    example = moments(ellipsoid((20, 30, 20), (8, 12, 9)), np.eye(4))
    target = moments(ellipsoid((26, 33, 22), (10, 12, 8)), np.eye(4))
    matrix = realignment(example, target)
    np.testing.assert_allclose(np.diag(matrix)[:3], (10 / 8, 1, 8 / 9), rtol=0.02)
    np.testing.assert_allclose(matrix[:3, :3] @ (20, 30, 20) + matrix[:3, 3], (26, 33, 22), atol=1e-6)


def test_moments_do_not_depend_on_the_storage():
    mask = ellipsoid((20, 30, 20), (8, 12, 9))
    affine = np.array([[1.5, 0.1, 0, -20], [0, 1, 0.2, 5], [0, 0, 2, 7], [0, 0, 0, 1]])
    flipped = affine @ np.array([[0, -1, 0, 59], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    one, other = moments(mask, affine), moments(np.swapaxes(mask[::-1], 0, 1), flipped)
    for name in ("centre", "covariance", "low", "high", "mm3"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-9)


def test_implausible_structures_are_not_followed():
    examples = [moments(ellipsoid((20 + i, 30, 20), (8, 12, 9)), np.eye(4)) for i in range(3)]
    assert plausible(moments(ellipsoid((24, 33, 20), (6, 12, 9)), np.eye(4)), examples)
    assert not plausible(moments(ellipsoid((20, 30, 20), (2, 3, 2)), np.eye(4)), examples)
    assert not plausible(moments(ellipsoid((20, 30, 20), (8, 12, 9)), np.eye(4) + 30 * np.eye(4, k=3)), examples)


def test_realignment_finds_a_tilt():
    x, y, z = np.indices((60, 70, 50)) - np.reshape((30, 35, 25), (3, 1, 1, 1))
    example = moments((x / 6) ** 2 + (y / 18) ** 2 + (z / 8) ** 2 <= 1, np.eye(4))
    angle = np.deg2rad(10)
    along, across = y * np.cos(angle) + z * np.sin(angle), z * np.cos(angle) - y * np.sin(angle)
    target = moments((x / 6) ** 2 + (along / 18) ** 2 + (across / 8) ** 2 <= 1, np.eye(4))
    linear = realignment(example, target)[:3, :3]
    np.testing.assert_allclose(linear @ example.covariance @ linear.T, target.covariance, rtol=1e-3, atol=1e-3)
    assert linear[1, 2] > 0.05


def test_a_fatter_structure_gets_its_volume():
    thick = np.ones((20, 20, 20), bool)
    hollow = thick.copy()
    hollow[5:15, 5:15, 5:15] = False
    example, target = moments(hollow, np.eye(4)), moments(thick, np.eye(4))
    assert np.linalg.det(realignment(example, target)[:3, :3]) * example.mm3 == pytest.approx(target.mm3)


def test_scales_stay_within_limits():
    plane = moments(np.ones((1, 9, 9), bool), np.eye(4))
    solid = moments(np.ones((9, 9, 9), bool), np.eye(4))
    scales = np.linalg.eigvalsh(realignment(plane, solid)[:3, :3])
    assert scales.max() == pytest.approx(1.4)
    assert scales.min() >= 0.7


def test_labels_that_an_example_does_not_show_have_no_moments():
    labels = np.zeros((5, 6, 7), np.uint16)
    labels[1:3, 2, 2] = 2035
    labels[4, 4, 4] = 3
    found = label_moments(labels, np.diag([2.0, 1, 1, 1]), (17, 2035))
    assert list(found) == [2035]
    assert found[2035].centre == pytest.approx((3, 2, 2))
    assert found[2035].mm3 == pytest.approx(4)
