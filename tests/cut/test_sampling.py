"""Volumes are read at points as SciPy reads them."""

import jax.numpy as jnp
import numpy as np
from scipy.ndimage import map_coordinates

from input_pipeline.cut.sampling import linear, nearest

RNG = np.random.default_rng(0)
VOLUMES = jnp.asarray(RNG.integers(0, 60000, (3, 7, 9, 8)), jnp.uint16)
POINTS = RNG.uniform(-2, 10, (3, 20, 30)).astype(np.float32)
INSIDE = np.all([(p >= -0.5) & (p < n - 0.5) for p, n in zip(POINTS, VOLUMES.shape[1:], strict=True)], axis=0)


def test_nearest():
    expected = map_coordinates(VOLUMES[2], POINTS, order=0, mode="nearest")
    np.testing.assert_array_equal(nearest(VOLUMES, 2, POINTS), np.where(INSIDE, expected, 0))


def test_linear():
    expected = map_coordinates(VOLUMES[1].astype(np.float32), POINTS, order=1, mode="nearest")
    np.testing.assert_allclose(linear(VOLUMES, 1, POINTS), np.where(INSIDE, expected, 0), rtol=1e-4, atol=0.1)
