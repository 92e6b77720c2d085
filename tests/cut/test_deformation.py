"""Deformed subjects are anatomy still: nothing folds, and a slice shows what its volume would."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from input_pipeline.cut.deformation import DEFAULTS, check_deformation, in_plane, sample_deformation
from neuralizer_jax.errors import InputError

STRONGEST = ConfigDict(DEFAULTS | {"probability": 1.0, "strain": (0.55, 0.55), "ventricles": (-0.3, -0.3)})
STEP = 3.0


def moved(config, key):
    """Where each point of the grid is read `[3, X, Y, Z]`, at steps of 3 mm."""
    along = [np.arange(0, length, STEP, np.float32) for length in (192, 224, 192)]
    deformation = sample_deformation(jax.random.key(key), config)

    def plane(z):
        return in_plane(deformation, jnp.array([[1, 0, 0], [0, 1, 0], [0, 0, z]], jnp.float32), along[0], along[1])

    return np.moveaxis(jax.jit(jax.vmap(plane))(along[2]), 0, -1), np.stack(np.meshgrid(*along, indexing="ij"))


@pytest.mark.parametrize("ventricles", [-0.3, 0.3])
def test_the_strongest_deformations_do_not_fold(ventricles):
    config = STRONGEST.copy_and_resolve_references()
    config.ventricles = (ventricles, ventricles)
    for key in range(4):
        points, _ = moved(config, key)
        jacobian = np.stack([np.stack(np.gradient(part, STEP)) for part in points])
        assert np.linalg.det(np.moveaxis(jacobian, (0, 1), (-2, -1))).min() > 0.05


def test_deformations_are_as_large_as_between_people():
    lengths = []
    for key in range(6):
        points, places = moved(ConfigDict(DEFAULTS | {"probability": 1.0}), key)
        lengths.append(np.sqrt(((points - places) ** 2).sum(0)).mean())
    assert 1 < np.mean(lengths) < 6


def test_structures_keep_a_volume_that_people_have():
    """Of balls of 12 mm across the brain: thalami of 14 people are 0.9 to 1.5 times their median."""
    centres = np.array([(96 + x, 129 + y, 77 + z) for x in (-40, -20, 20, 40) for y in (-60, -15, 30) for z in (0, 40)])
    ratios = []
    for key in range(8):
        points, places = moved(ConfigDict(DEFAULTS | {"probability": 1.0}), key)
        for centre in centres:
            seen, own = (((at - centre[:, None, None, None]) ** 2).sum(0) < 12**2 for at in (points, places))
            ratios.append(seen.sum() / own.sum())
    assert 0.6 < np.percentile(ratios, 2) < 0.95
    assert 1.05 < np.percentile(ratios, 98) < 1.5


def test_growth_enlarges_the_ventricles_alike():
    config = ConfigDict(DEFAULTS | {"probability": 1.0, "strain": (0.0, 0.0), "ventricles": (0.3, 0.3)})
    points, _ = moved(config, 0)
    x, y, z = (round(place / STEP) for place in (96 - 12, 129 - 12, 77 + 20))
    for side in (x, round((96 + 12) / STEP)):
        jacobian = np.stack([np.stack(np.gradient(part, STEP))[:, side, y, z] for part in points])
        assert np.linalg.det(jacobian) < 0.6  # a voxel of the picture shows less than a voxel of the subject


def test_planes_that_cross_agree_on_their_line():
    deformation = sample_deformation(jax.random.key(3), STRONGEST)
    rows = jnp.arange(-40.0, 40.0)
    axial = jnp.array([[0, 1, 95], [-1, 0, 111], [0, 0, 90]], jnp.float32)
    tilt = jnp.array([[0, 0, 95], [-0.8, 0.6, 111], [-0.6, -0.8, 90]], jnp.float32)
    along_x = in_plane(deformation, axial, jnp.zeros(1), jnp.zeros(1))
    np.testing.assert_allclose(along_x, in_plane(deformation, tilt, jnp.zeros(1), jnp.zeros(1)), atol=1e-3)
    crossing = in_plane(deformation, axial, jnp.zeros(1), rows)[:, 0]
    sagittal = jnp.array([[0, 1, 95], [0, 0, 111], [-1, 0, 90]], jnp.float32)
    np.testing.assert_allclose(crossing, in_plane(deformation, sagittal, jnp.zeros(1), rows)[:, 0], atol=1e-3)


def test_off_means_the_plane_itself():
    config = ConfigDict(DEFAULTS | {"probability": 0.0})
    points, places = moved(config, 1)
    np.testing.assert_allclose(points, places, atol=1e-3)


@pytest.mark.parametrize("change", [{"strain": (0.1, 0.9)}, {"ventricles": (-0.6, 0.1)}, {"wavelength": (1.0, 9.0)}])
def test_what_could_fold_is_refused(change):
    check_deformation(ConfigDict(DEFAULTS))
    with pytest.raises(InputError, match="deformation"):
        check_deformation(ConfigDict(DEFAULTS | change))
