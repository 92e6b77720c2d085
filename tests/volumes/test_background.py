"""Brains are told from heads, and their background becomes dark."""

import numpy as np

from neuralizer_jax.volumes.background import is_skull_stripped, with_dark_background

AFFINE = np.diag([4.0, 4, 4, 1])
GRID = ((np.indices((64, 64, 64)) - 32) ** 2).sum(axis=0)
BRAIN = GRID < 18**2  # 1.5 litres
TEXTURE = np.random.default_rng(0).random(GRID.shape)


def test_brains_are_told_from_heads():
    for background in (0, -5, 0.5):
        assert is_skull_stripped(np.where(BRAIN, 1 + TEXTURE, background), AFFINE)
    assert not is_skull_stripped(np.where(BRAIN, 1 + TEXTURE, 0.1 * TEXTURE), AFFINE)
    assert not is_skull_stripped(np.where(GRID < 25**2, 1 + TEXTURE, 0), AFFINE)
    assert not is_skull_stripped(1 + TEXTURE, np.eye(4))


def test_background_of_z_scores_becomes_dark():
    scan = np.where(BRAIN, TEXTURE - 0.5, 0).astype(np.float32)
    dark = with_dark_background(scan)
    assert not dark[~BRAIN].any()
    assert (dark[BRAIN] > 0).all()
    assert np.ptp(dark[BRAIN] - scan[BRAIN]) < 1e-6
