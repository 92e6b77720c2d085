"""Scans and examples: what is refused in one line, and that the storage does not matter."""

from itertools import permutations, product

import numpy as np
import pytest
from affine_maps import reorient

from neuralizer_jax.errors import InputError
from neuralizer_jax.volumes.scan import Example, Scan, to_ras

VALUES = np.arange(60.0).reshape(3, 4, 5)
OBLIQUE = np.array([[0.9, -0.1, 0.2, -3], [0.15, 1.1, 0, 2], [-0.2, 0.05, 0.95, 1], [0, 0, 0, 1]])


# All 48 ways to store a volume: the order of its axes, and which run backwards.
STORAGES = [(axes, np.flatnonzero(flips)) for axes in permutations(range(3)) for flips in product((0, 1), repeat=3)]


def test_all_storages_are_one_scan():
    expected, expected_affine = to_ras(VALUES, OBLIQUE)
    for axes, flips in STORAGES:
        values, affine = to_ras(*reorient(VALUES, OBLIQUE, axes, flips))
        np.testing.assert_array_equal(values, expected)
        np.testing.assert_array_equal(affine, expected_affine)


@pytest.mark.parametrize(
    ("values", "affine", "message"),
    [
        (np.zeros((4, 4, 4, 2)), np.eye(4), "three axes"),
        (np.zeros((4, 4)), np.eye(4), "three axes"),
        (np.arange(16.0).reshape(4, 4, 1), np.eye(4), "4 x 4 x 1 voxels"),
        (np.ones((4, 4, 4)), np.eye(4), "constant"),
        (np.full((4, 4, 4), np.nan), np.eye(4), "NaN"),
        (VALUES.astype(complex), np.eye(4), "complex128"),
        (VALUES, np.eye(3), "affine"),
        (VALUES, np.zeros((4, 4)), "singular"),
        (VALUES, np.full((4, 4), np.inf), "NaN or infinity"),
    ],
)
def test_bad_scans_are_refused(values, affine, message):
    with pytest.raises(InputError, match=f"^mine: .*{message}") as caught:
        Scan(values, affine, "mine")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.ones((3, 4, 4)), "shape"),
        (np.zeros((3, 4, 5)), "0 everywhere"),
        (np.full((3, 4, 5), 0.5), "0.5"),
        (np.full((3, 4, 5), -1), "-1"),
    ],
)
def test_bad_labels_are_refused(labels, message):
    with pytest.raises(InputError, match=f"mine.*{message}"):
        Example(Scan(VALUES, np.eye(4), "mine"), labels)


def test_an_example_may_lack_what_it_was_annotated_for():
    assert Example(Scan(VALUES, np.eye(4)), np.zeros(VALUES.shape), (5, 3)).annotated == (3, 5)
    assert Example(Scan(VALUES, np.eye(4)), VALUES > 30).annotated == (1,)
