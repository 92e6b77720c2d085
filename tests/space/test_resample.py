"""Volumes come to the grid by millimetres, whole or a few planes; labels stay labels."""

import numpy as np
import pytest
from affine_maps import reorient, world_affine
from miniature_head import head_affine, head_labels

from input_pipeline.space.grid import AFFINE, SHAPE
from input_pipeline.space.resample import resample_to_grid
from neuralizer_jax.errors import InputError

IDENTITY = np.eye(4)


@pytest.fixture
def head():
    return head_labels(), head_affine()


def test_resample_on_its_own_grid_is_exact():
    rng = np.random.default_rng(1)
    image = rng.random(SHAPE, np.float32)
    np.testing.assert_array_equal(resample_to_grid(image, AFFINE, IDENTITY, labels=False), image)
    labels = rng.integers(0, 3000, (20, 30, 40)).astype(np.uint16)
    back, affine = reorient(labels, AFFINE, (2, 0, 1), (0, 2))
    result = resample_to_grid(back, affine, IDENTITY, labels=True, shape=labels.shape)
    np.testing.assert_array_equal(result, labels)
    assert result.dtype == np.uint16


def test_resample_shifts_by_millimetres():
    image = np.zeros((6, 7, 8))
    image[2, 3, 4] = 1
    shift = np.eye(4)
    shift[:3, 3] = (1, 2, -0.25)
    result = resample_to_grid(image, IDENTITY, shift, labels=False, shape=image.shape, grid_affine=IDENTITY)
    expected = np.zeros(image.shape, np.float32)
    expected[3, 5, 4], expected[3, 5, 3] = 0.75, 0.25
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_labels_stay_labels(head):
    labels, affine = head
    matrix = world_affine((10, 20, 30), (1.1, 0.9, 1), (0, 0, 0), (3.3, 2.2, 1.1))
    result = resample_to_grid(labels, affine, matrix, labels=True)
    assert result.shape == SHAPE
    assert set(np.unique(result)) <= set(np.unique(labels))


def test_planes_are_those_of_the_whole(head):
    labels, affine = head
    matrix = world_affine((4, 5, 6), (1, 1, 1), (0, 0, 0), (0, 0, 0))
    whole = resample_to_grid(labels.astype(float), affine, matrix, labels=False)
    some = resample_to_grid(labels.astype(float), affine, matrix, labels=False, planes=[112, 30, 113])
    np.testing.assert_array_equal(some, whole[:, [112, 30, 113]])


def test_resample_refuses_a_series():
    with pytest.raises(InputError, match="three axes"):
        resample_to_grid(np.zeros((2, 2, 2, 5)), IDENTITY, IDENTITY, labels=False)
