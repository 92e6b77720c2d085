"""Synthesised images look like their modality, and lesions lie in tissue."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from input_pipeline.cut import lesions
from input_pipeline.cut.scans import DEFAULTS, contrast, plane_offsets, sample_scan
from input_pipeline.ops.task_augmentations.synthetic_modality import DEFAULTS as RANDOM
from input_pipeline.space.modalities import MODALITIES
from input_pipeline.space.tissue_classes import CLASSES

WHITE, CORTEX, CSF, SCALP = (CLASSES.index(name) for name in ("white_matter", "cortex", "csf", "scalp"))


def contrasts(number, *, stripped=False):
    """Means of eight episodes with three images each `[8, 3, 25]`."""

    def means(shared, own):
        keys = jax.random.key(shared), jax.random.key(100 + own)
        return contrast(number, *keys, jnp.bool_(stripped), ConfigDict(RANDOM))[0]

    return np.asarray(jax.vmap(jax.vmap(means, (None, 0)), (0, None))(jnp.arange(8), jnp.arange(3)))


def test_modalities_have_the_order_of_their_tissues():
    t1, t2 = (contrasts(MODALITIES.index(name)) for name in ("T1", "T2"))
    assert (t1[..., WHITE] > t1[..., CORTEX]).all() and (t1[..., CORTEX] > t1[..., CSF]).all()  # noqa: PT018
    assert (t2[..., WHITE] < t2[..., CORTEX]).all() and (t2[..., CORTEX] < t2[..., CSF]).all()  # noqa: PT018
    assert (t1[..., 0] == 0).all()


def test_the_brain_fills_the_range_of_a_stripped_image():
    head, brain = (contrasts(MODALITIES.index("T1"), stripped=stripped) for stripped in (False, True))
    assert (brain[..., WHITE] > head[..., WHITE]).all()


def test_random_contrasts_differ_between_episodes_not_between_images():
    random = contrasts(len(MODALITIES) + 2)
    assert random.std(0)[..., WHITE].min() > 0.05
    assert random.std(1).max() < 0.06
    assert (np.abs(random - contrasts(len(MODALITIES) + 3)) > 0.1).any()


def test_scans_of_an_episode_are_alike_as_often_as_asked():
    config = ConfigDict(DEFAULTS)
    shared = jax.random.key(0)
    scans = jax.vmap(lambda key: sample_scan(shared, key, config))(jax.random.split(jax.random.key(1), 400))
    common = np.unique(np.asarray(scans.noise), return_counts=True)[1].max() / 400
    assert common == pytest.approx(0.75, abs=0.08)
    assert scans.thickness.max() <= 6


def test_a_thick_slice_is_the_mean_over_its_thickness():
    np.testing.assert_allclose(plane_offsets(jnp.float32(6)), [-2, 0, 2])
    np.testing.assert_allclose(plane_offsets(jnp.float32(0)), 0)


class TestLesions:
    CONFIG = ConfigDict(lesions.DEFAULTS)

    def masks(self, classes, near_cortex):
        config = ConfigDict(lesions.DEFAULTS | {"near_cortex_probability": near_cortex})
        keys = jax.random.split(jax.random.key(0), 12)
        return np.asarray(jax.vmap(lambda key: lesions.lesion_mask(keys[0], key, classes, 192, config))(keys))

    def test_they_lie_in_tissue_and_differ(self):
        rows = np.arange(96)[:, None] + np.zeros(96)
        classes = jnp.asarray(np.where(rows < 40, CSF, np.where(rows < 70, WHITE, CORTEX)), jnp.int32)
        masks = self.masks(classes, 0.0)
        assert not masks[:, :40].any()
        areas = masks.sum((1, 2)) * 4
        assert (areas > 0).all()
        assert areas.max() < 5 * np.pi * 13**2
        assert len(set(areas.tolist())) > 6
        assert self.masks(classes, 1.0)[:, 70:].sum() > masks[:, 70:].sum()

    def test_without_tissue_there_are_none(self):
        assert not self.masks(jnp.full((96, 96), SCALP), 1.0).any()

    @pytest.mark.parametrize("white", [0.05, 0.5, 0.95])
    def test_they_can_be_seen(self, white):
        means = jnp.full(len(CLASSES), white)
        seen = jax.vmap(lambda key: lesions.lesion_mean(key, means, self.CONFIG))(
            jax.random.split(jax.random.key(0), 50)
        )
        assert (np.abs(seen - white) > 0.11).all()
        assert (seen >= 0).all()
        assert (seen <= 1).all()
