"""Weights of a wider network from those of a narrower one."""

import jax
import numpy as np
import pytest
from conftest import draw_params
from flax.traverse_util import flatten_dict
from golden.golden_weights import golden_inputs

from neuralizer_jax import Neuralizer, UNet
from neuralizer_jax.model import MemberMean
from neuralizer_jax.weights import param_shapes
from neuralizer_jax.weights.widen import can_widen, widen

NARROW = Neuralizer(features=4, stages=2)


class OwnMean(MemberMean):
    """An aggregation of the user's."""


class TestPredictions:
    @pytest.mark.parametrize(
        ("changes", "features"),
        [
            ({}, 8),
            ({}, 12),
            ({"stages": 3, "features": (4, 6, 6), "out_channels": 3, "convs": 1}, (8, 12, 12)),
            ({"dim": 3}, 8),
        ],
    )
    def test_are_those_of_the_narrower_network(self, changes, features):
        narrow = NARROW.clone(**changes)
        wide = narrow.clone(features=features)
        params = draw_params(narrow)
        inputs = golden_inputs(0, 2, 3, (8,) * narrow.dim, in_channels=3, out_channels=narrow.out_channels)
        widened = widen(params, wide, jax.random.key(0))
        expected = jax.jit(narrow.apply)({"params": params}, *inputs)
        got = jax.jit(wide.apply)({"params": widened}, *inputs)
        np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())

    def test_shapes_are_those_of_the_wider_network(self):
        wide = NARROW.clone(features=8)
        widened = flatten_dict(widen(draw_params(NARROW), wide, jax.random.key(0)))
        assert {path: x.shape for path, x in widened.items()} == param_shapes(wide)


@jax.jit
@jax.grad
def gradient_of_wide(params):
    inputs = golden_inputs(0, 2, 3, (8, 8), in_channels=3, out_channels=1)
    return (NARROW.clone(features=8).apply({"params": params}, *inputs) ** 2).sum()


class TestCopies:
    def gradient(self, key):
        """Of a convolution in the middle of the network, `[3, 3, in, copies, out / copies]`."""
        gradient = gradient_of_wide(widen(draw_params(NARROW), NARROW.clone(features=8), key))
        kernel = gradient["enc_blocks_1"]["context_conv"]["layers_0"]["kernel"]
        return np.asarray(kernel).reshape(3, 3, 8, 2, 4)

    def test_have_gradients_of_their_own(self):
        first, second = np.moveaxis(self.gradient(jax.random.key(0)), 3, 0)
        assert np.abs(first - second).mean() > 0.05 * np.abs(first).mean()

    def test_are_those_of_the_key(self):
        np.testing.assert_array_equal(self.gradient(jax.random.key(0)), self.gradient(jax.random.key(0)))
        assert (self.gradient(jax.random.key(0)) != self.gradient(jax.random.key(1))).any()


@pytest.mark.parametrize(
    ("wide", "expected"),
    [
        (NARROW, True),
        (NARROW.clone(features=12), True),
        (NARROW.clone(features=6), False),
        (NARROW.clone(features=2), False),
        (NARROW.clone(features=(8, 12)), False),
        (NARROW.clone(features=8, stages=3), False),
        (NARROW.clone(features=8, segmentation_sigmoid=True), False),
        (NARROW.clone(features=8, aggregation=OwnMean), False),
        (UNet(features=8, stages=2), False),
    ],
)
def test_what_can_be_widened(wide, expected):
    assert can_widen(NARROW, wide) == expected
