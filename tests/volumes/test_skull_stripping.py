"""Skull stripping of a small head (3 mm) from a small built-in head."""

import numpy as np
import pytest
from miniature_head import head_affine, head_image, head_labels, use_as_built_in_head

from input_pipeline.synthesis.images import brain_mask
from neuralizer_jax import InputError, load_weights
from neuralizer_jax.volumes.scan import Scan
from neuralizer_jax.volumes.skull_stripping import strip_skull


def test_the_brain_of_a_head_is_found_on_its_own_voxels(monkeypatch):
    use_as_built_in_head(monkeypatch)
    # From right to left.
    affine = head_affine()
    affine[:3, 3] += affine[:3, 0] * (head_labels().shape[0] - 1)
    affine[:3, 0] *= -1
    target = Scan(head_image("T2", seed=3)[::-1], affine)
    options = {"examples_per_target": 1, "aligned": True, "planes": ("coronal",)}
    found = strip_skull(*load_weights("small"), target, **options)
    truth = brain_mask(head_labels())[::-1]
    overlap = 2 * np.count_nonzero(found.mask & truth) / (np.count_nonzero(found.mask) + np.count_nonzero(truth))
    assert overlap > 0.93
    assert ((found.probability > 0.5) >= found.mask).mean() > 0.99


def test_a_brain_alone_is_refused(tiny_model, tiny_params):
    with pytest.raises(InputError, match="shows a brain without skull already"):
        strip_skull(tiny_model, tiny_params, Scan(head_image(skull_stripped=True), head_affine()), aligned=True)
