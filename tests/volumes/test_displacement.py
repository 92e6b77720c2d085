"""Displacement fields: the inverse undoes them, and growth is the volume that they make."""

import numpy as np
import pytest

from neuralizer_jax.volumes.displacement import FIELD_SHAPE, STEP_MM, growth, inverse, moved


def waves(amplitude=6.0, wavelength=90.0):
    """A smooth field that does not fold: the strain is at most 0.42."""
    places = np.indices(FIELD_SHAPE[1:]) * STEP_MM
    return np.stack([amplitude * np.sin(2 * np.pi * places[(axis + 1) % 3] / wavelength) for axis in range(3)])


def test_the_inverse_undoes_a_field():
    places = np.random.default_rng(0).uniform((-60, -90, -40), (60, 60, 70), (500, 3)).T
    field = waves().astype(np.float16)
    there = moved(places, field)
    assert np.linalg.norm(there - places, axis=0).mean() > 3
    np.testing.assert_allclose(moved(there, inverse(field)), places, atol=0.15)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_growth_is_the_share_of_the_volume(axis):
    field = np.zeros(FIELD_SHAPE)
    field[axis] = 0.2 * STEP_MM * np.indices(FIELD_SHAPE[1:])[axis]
    np.testing.assert_allclose(growth(field), 1.2, rtol=1e-5)
    np.testing.assert_allclose(growth(inverse(field))[10:-10, 10:-10, 10:-10], 1 / 1.2, rtol=1e-3)
