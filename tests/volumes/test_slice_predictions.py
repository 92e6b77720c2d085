"""Slices in batches give what the network gives for each of them; those left out are interpolated."""

import jax
import numpy as np
import pytest
from conftest import draw_params
from memory_child import child

from neuralizer_jax.model import Neuralizer
from neuralizer_jax.volumes import slice_predictions
from neuralizer_jax.volumes.slice_predictions import predict_planes
from neuralizer_jax.volumes.slices import slices_of

MODEL = Neuralizer(features=4, stages=2, segmentation_sigmoid=True)
WHOLE = (slice(0, 8),) * 3


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    images = rng.random((4, 8, 8, 8), np.float32)
    params = jax.tree.map(lambda x: x / 4, draw_params(MODEL))  # no probability is 0 or 1
    return params, images[0], images[1:], (images[1:] > 0.5).astype(np.float32)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """One program for all tests, and batches that are not full."""
    monkeypatch.setattr(slice_predictions, "_batch_size", lambda *_: 3)


def test_each_slice_is_that_of_the_network(case):
    params, target, images, masks = case
    found = predict_planes(MODEL, params, target, images, masks, WHOLE, ("sagittal", "axial"))
    for plane, volume in zip(("sagittal", "axial"), found, strict=True):
        for index in (0, 7):
            one, context_in, context_out = (
                slices_of(x, plane)[..., index, :, :][..., None] for x in (target, images, masks)
            )
            expected = MODEL.apply({"params": params}, one[None], context_in[None], context_out[None])[0, ..., 0]
            np.testing.assert_allclose(slices_of(volume, plane)[index], jax.nn.sigmoid(expected), atol=1e-5)


def test_slices_between_are_interpolated(case):
    params, target, images, masks = case
    inside = (slice(1, 8), slice(2, 6), slice(0, 8))
    all_, some = (
        predict_planes(MODEL, params, target, images, masks, inside, ("sagittal",), every=every)[0] for every in (1, 3)
    )
    assert all_.shape == some.shape == (7, 4, 8)
    np.testing.assert_allclose(some[[0, 3, 6]], all_[[0, 3, 6]], atol=1e-5)
    np.testing.assert_allclose(some[1], (2 * some[0] + some[3]) / 3, atol=1e-5)
    assert not np.allclose(some[1], all_[1], atol=1e-4)


def test_order_of_the_examples_does_not_matter(case):
    params, target, images, masks = case
    one, other = (
        predict_planes(MODEL, params, target, images[order], masks[order], WHOLE, ("coronal",), every=4)
        for order in ([0, 1, 2], [2, 0, 1])
    )
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_several_devices_share_the_slices():
    assert child("slices", devices=2) == {"devices": 2, "difference": pytest.approx(0, abs=1e-3)}
