"""Crops of the grid: volumes are cut where they lie, and found again."""

import numpy as np
import pytest

from neuralizer_jax.volumes.boxes import SIZES, Box, box_around, cut
from neuralizer_jax.volumes.compete import on_grid


def smooth(shape):
    x, y, z = np.indices(shape)
    return (x + 2 * y + 3 * z).astype(np.float32)


def test_box_holds_extent_and_margin():
    low, high = np.array([-40.2, -30, 0.5]), np.array([-10, 25.7, 12])
    box = box_around(low, high, 16)
    assert (np.array(box.low) <= low - 16).all()
    assert (np.array(box.low) + box.shape - 1 >= high + 16).all()
    assert set(box.shape) <= set(SIZES)


def test_large_extents_are_multiples_too():
    assert box_around(np.zeros(3), np.full(3, 300.0), 10).shape == (336, 336, 336)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)])
def test_cut_reads_the_same_place_from_any_storage(axes):
    volume, affine = smooth((30, 32, 34)), np.eye(4)
    affine[:3, 3] = -10, 5, 20
    turned = affine.copy()
    turned[:3, :3] = affine[:3, list(axes)]
    box = Box((-8, 9, 25), (16, 8, 12))
    expected = volume[2:18, 4:12, 5:17]
    np.testing.assert_allclose(cut(volume.transpose(axes), turned, box), expected)


def test_cut_is_empty_outside():
    assert not cut(np.ones((5, 5, 5)), np.eye(4), Box((40, 0, 0), (8, 8, 8))).any()
    half = cut(np.ones((5, 5, 5)), np.eye(4), Box((-4, 0, 0), (8, 5, 5)))
    assert half[4:].all()
    assert not half[:4].any()


def test_mask_of_a_label_keeps_its_volume_on_a_finer_grid():
    labels = np.zeros((10, 10, 10), np.uint16)
    labels[3:7, 3:7, 3:7] = 2035
    labels[3:7, 3:7, 7:9] = 2034
    mask = cut(labels, np.diag([3.0, 3, 3, 1]), Box((0, 0, 0), (28, 28, 28)), label=2035)
    assert set(np.unique(mask)) == {0, 1}
    assert mask.sum() == pytest.approx(12**3, rel=0.1)


def test_mask_keeps_a_thin_line_between_voxels():
    labels = np.zeros((10, 10, 10), np.uint16)
    labels[5, 5, 2:8] = 4
    between = np.eye(4)
    between[:2, 3] = 0.5
    assert cut(labels, between, Box((0, 0, 0), (10, 10, 10)), label=4).sum() >= 6


def test_round_trip_between_grid_and_scan():
    rotation = np.array([[0.9, -0.1, 0.2, -3], [0.15, 1.1, 0, 2], [-0.2, 0.05, 0.95, 1], [0, 0, 0, 1]])
    box = Box((0, 0, 0), (30, 30, 30))
    part, found = on_grid(smooth(box.shape), box, rotation, (28, 29, 30))
    back = cut(np.pad(found, [(s.start, n - s.stop) for s, n in zip(part, (28, 29, 30), strict=True)]), rotation, box)
    np.testing.assert_allclose(back[10:20, 10:20, 10:20], smooth(box.shape)[10:20, 10:20, 10:20], atol=1e-3)


def test_nothing_is_interpolated_far_from_a_box():
    part, found = on_grid(np.ones((4, 4, 4)), Box((100, 0, 0), (4, 4, 4)), np.eye(4), (10, 10, 10))
    assert found.size == 0
    assert np.zeros((10, 10, 10))[part].shape == found.shape
