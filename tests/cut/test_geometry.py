"""Slices lie where they are planned, displayed as everywhere else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from input_pipeline.cut.geometry import DEFAULTS, sample_plane

STILL = ConfigDict(
    {
        "shared": {"tilt": (0.0, 0.0), "rotation": (0.0, 0.0), "scale": (1.0, 1.0)},
        "misalignment": {"shift": (0.0, 0.0), "rotation": (0.0, 0.0), "scale": (0.0, 0.0)},
    }
)
KEYS = jax.random.split(jax.random.key(0), 40)


def sampled(config, axis, *, position=50, centre=(0, 0), pivot=(7, -9), flip=False, shared=KEYS[0], own=KEYS[1]):
    return sample_plane(
        shared, own, config, axis=jnp.int32(axis), position=jnp.int32(position), centre=jnp.array(centre),
        pivot=jnp.array(pivot), flip=jnp.bool_(flip),
    )  # fmt: skip


# The voxel at 10 mm down the rows and 20 mm along the columns.
@pytest.mark.parametrize(("axis", "voxel"), [(0, (50, 131.5, 85.5)), (1, (115.5, 50, 85.5)), (2, (115.5, 101.5, 50))])
def test_each_plane_is_displayed_as_its_table_says(axis, voxel):
    place = sampled(STILL, axis).matrix @ jnp.array([10, 20, 1.0])
    np.testing.assert_allclose(place, voxel, atol=1e-4)
    np.testing.assert_allclose(sampled(STILL, axis, centre=(10, 20)).matrix[:, 2], voxel, atol=1e-4)
    mirrored = sampled(STILL, axis, flip=True).matrix @ jnp.array([10, 20, 1.0])
    np.testing.assert_allclose(mirrored, (191 - voxel[0], *voxel[1:]), atol=1e-4)


def test_tilt_is_within_its_range_and_rows_and_columns_stay_at_right_angles():
    config = ConfigDict(DEFAULTS).copy_and_resolve_references()
    config.misalignment = STILL.misalignment
    for axis in range(3):
        planes = jax.vmap(lambda key, axis=axis: sampled(config, axis, shared=key))(KEYS)
        tilt = np.degrees(np.arccos(np.abs(planes.normal[:, axis]).clip(max=1)))
        assert 5 < tilt.max() <= 15 * 2**0.5
        rows, columns = planes.matrix[..., 0], planes.matrix[..., 1]
        np.testing.assert_allclose((rows * columns).sum(1), 0, atol=1e-5)
        np.testing.assert_allclose((planes.normal * rows).sum(1), 0, atol=1e-5)
        lengths = np.linalg.norm(rows, axis=1)
        assert 1 / 1.16 < lengths.min() < lengths.max() < 1 / 0.84


def test_planes_turn_about_their_pivot():
    config = ConfigDict(DEFAULTS).copy_and_resolve_references()
    config.misalignment = STILL.misalignment
    for key in KEYS[:5]:
        matrix = sampled(config, 1, centre=(5, 6), pivot=(20, 30), shared=key).matrix
        still = sampled(STILL, 1, centre=(20, 30)).matrix[:, 2]
        place, distance, *_ = np.linalg.lstsq(matrix[:, :2], still - matrix[:, 2])
        np.testing.assert_allclose(distance, 0, atol=1e-3)
        assert np.abs(place - np.array([15, 24])).max() < 15


def test_misalignment_is_as_large_as_asked_in_all_directions():
    config = STILL.copy_and_resolve_references()
    config.misalignment.shift = (4.0, 4.0)
    origins = jax.vmap(lambda key: sampled(config, 1, own=key).matrix[:, 2])(KEYS)
    shifts = np.asarray(origins) - np.array([95.5, 50, 95.5])
    assert 3 < np.sqrt((shifts**2).sum(1).mean()) < 5
    assert (np.abs(shifts).max(0) > 2).all()
