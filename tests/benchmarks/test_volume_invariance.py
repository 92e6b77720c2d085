import numpy as np
import pytest
from scipy import ndimage

from neuralizer_jax import Scan

AFFINE = np.array([[-1.0, 0, 0, 90], [0, 1, 0, -100], [0, 0, 1, -60.3], [0, 0, 0, 1]])


@pytest.fixture
def changes(script):
    return script("volume_invariance")


def scan(changes):
    values = ndimage.gaussian_filter(np.random.default_rng(0).random((40, 50, 63)), 2).astype(np.float32)
    labels = np.zeros(values.shape, np.int32)
    for start, label in zip((10, 25), changes.STRUCTURES, strict=True):
        labels[start : start + 8, 12:30, 15:36] = label
    return values, labels, AFFINE


def place(labels, affine, label):
    """Centre in the world, and volume."""
    voxels = np.argwhere(labels == label)
    centre = affine[:3, :3] @ voxels.mean(axis=0) + affine[:3, 3]
    return centre, len(voxels) * abs(np.linalg.det(affine[:3, :3]))


def test_true_labels_go_where_the_world_goes(changes):
    values, labels, affine = scan(changes)
    turn = changes.turn(affine, values.shape)
    for name, change in changes.CHANGES.items():
        _, found, world = change(values, labels, affine)
        for label in changes.STRUCTURES:
            centre, volume = place(labels, affine, label)
            if "turned" in name:
                centre = turn[:3, :3] @ centre + turn[:3, 3]
            after, found_volume = place(found, world, label)
            np.testing.assert_allclose(after, centre, atol=0.2, err_msg=name)
            assert found_volume == pytest.approx(volume, rel=0.02)


def test_all_storages_are_the_same_scan(changes):
    values, labels, affine = scan(changes)
    first, found = Scan(values, affine).canonical(), set()
    for axes, turned in changes.STORAGES:
        other, _, world = changes.stored(values, labels, affine, axes, turned)
        found.add((tuple(np.sign(world[:3, :3]).astype(int).ravel()), other.shape))
        canonical = Scan(other, world).canonical()
        np.testing.assert_array_equal(canonical.values, first.values)
        np.testing.assert_allclose(canonical.affine, first.affine, atol=1e-9)
    assert len(found) == 48
