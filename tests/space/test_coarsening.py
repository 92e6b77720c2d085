"""Thick slices keep constants and ramps, show means, and are the same in training and of whole scans."""

import jax.numpy as jnp
import numpy as np
import pytest

from input_pipeline.space.coarsening import coarsening


@pytest.mark.parametrize(("factor", "first", "atol"), [(2, 0.5, 1e-4), (2.0, 0.4, 0.12), (3.7, 0.4, 0.41)])
def test_constants_and_ramps_stay(factor, first, atol):
    matrix = coarsening(64, factor, first)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-5)
    inner = slice(8, -8)
    np.testing.assert_allclose((matrix @ np.arange(64))[inner], np.arange(64)[inner], atol=atol)


def test_a_coarse_sample_is_the_mean_over_a_slice():
    signal = np.random.default_rng(0).random(96)
    expected = np.interp(np.arange(96), np.arange(1, 96, 3), signal.reshape(-1, 3).mean(1))
    np.testing.assert_allclose((coarsening(96, 3, 1) @ signal)[1:-1], expected[1:-1], atol=1e-5)


def test_jax_gives_what_numpy_gives():
    found = coarsening(64, jnp.float32(3.7), jnp.float32(0.4), jnp)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, coarsening(64, 3.7, 0.4), atol=1e-5)
