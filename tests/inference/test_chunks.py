"""The context in chunks: the same result as all members at once, in memory that does not grow with their number."""

from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import draw_params
from memory_child import child

from neuralizer_jax import InputError, Neuralizer
from neuralizer_jax import predict as predict_scaled
from neuralizer_jax.inference.plan import ContextPlan, plan_context
from neuralizer_jax.model import PairwiseConvAvg

MODEL = Neuralizer(features=8, stages=2)
PARAMS = draw_params(MODEL, seed=3)
KEEP = pytest.mark.parametrize("keep", [False, True], ids=["streamed", "kept"])
MIB = 2**20
# The network, to which predictions are compared, scales nothing.
predict = partial(predict_scaled, normalize="none")


def arrays(members, size=(16, 12), channels=1, labels=None):
    rng = np.random.default_rng(members)
    outputs = rng.random((members, *size), np.float32) if labels is None else rng.choice(labels, (members, *size))
    return rng.random((*size, channels), np.float32), rng.random((members, *size, channels), np.float32), outputs


def together(model, params, target, context_in, context_out):
    """The network itself on all members."""
    return model.apply({"params": params}, target[None], context_in[None], context_out[None, ..., None])[0, ..., 0]


def close(a, b, tolerance=1e-5):
    np.testing.assert_allclose(a, b, atol=tolerance * np.std(b), rtol=tolerance)


@KEEP
class TestSameResult:
    @pytest.mark.parametrize(("members", "chunk"), [(1, 1), (1, 4), (5, 2), (64, 8), (64, 7)])
    def test_as_all_members_at_once(self, members, chunk, keep):
        episode = arrays(members)
        prediction = predict(MODEL, PARAMS, *episode, context_chunk=chunk, keep_activations=keep)
        close(prediction.mean, together(MODEL, PARAMS, *episode))

    @pytest.mark.parametrize(
        "model",
        [
            Neuralizer(features=(4, 6, 5), stages=3),
            Neuralizer(features=4, stages=1),
            Neuralizer(features=4, stages=2, dim=3),
            Neuralizer(features=4, stages=2, convs=1, remat=True),
        ],
        ids=["widths", "one stage", "3-D", "remat"],
    )
    def test_of_other_networks(self, model, keep):
        params, episode = draw_params(model, seed=4), arrays(5, (8, 12, 4)[: model.dim], channels=2)
        prediction = predict(model, params, *episode, context_chunk=2, keep_activations=keep)
        close(prediction.mean, together(model, params, *episode))

    def test_in_half_precision(self, keep):
        model, episode = MODEL.clone(dtype=jnp.bfloat16), arrays(5)
        prediction = predict(model, PARAMS, *episode, context_chunk=2, keep_activations=keep)
        close(prediction.mean, together(MODEL, PARAMS, *episode), 0.1)

    @pytest.mark.parametrize("values", [(0, 7), (0, 2, 5, 9)])
    def test_of_masks_label_maps_and_moved_contexts_of_odd_size(self, values, keep):
        episode = arrays(5, (15, 9), labels=values)
        options = {"task": "segmentation", "bootstrap": 2, "bootstrap_size": 5, "augment": True}
        expected = predict(MODEL, PARAMS, *episode, **options)
        prediction = predict(MODEL, PARAMS, *episode, **options, context_chunk=2, keep_activations=keep)
        for name in ("mean", "std"):
            np.testing.assert_allclose(getattr(prediction, name), getattr(expected, name), atol=1e-5)
        np.testing.assert_array_equal(prediction.labels, expected.labels)


class TestChoice:
    """Which way is taken where nobody says."""

    # A member of this network and size has a widest activation of 4 MiB.
    MODEL, SIZE = Neuralizer(features=64, stages=3), (128, 128)

    def choose(self, free_mib, members, platform="gpu"):
        return plan_context(self.MODEL, self.SIZE, members, [SimpleNamespace(platform=platform)], free_mib * MIB)

    def test_all_together_where_they_fit(self):
        assert self.choose(10_000, 32) == ContextPlan()

    def test_kept_where_that_fits(self):
        plan = self.choose(1_000, 32)
        assert plan.keep
        assert 1 <= plan.chunk < 32

    def test_streamed_where_nothing_else_fits(self):
        plan = self.choose(1_000, 2_000)
        assert not plan.keep
        assert 1 <= plan.chunk < 32

    def test_one_at_a_time_where_even_one_is_too_much(self):
        assert self.choose(10, 32) == ContextPlan(1)

    def test_few_at_a_time_on_a_cpu(self):
        plan = self.choose(100_000, 32, "cpu")
        assert plan.keep
        assert 1 <= plan.chunk <= 8

    def test_a_small_context_together_on_a_cpu(self):
        assert self.choose(100_000, 8, "cpu") == ContextPlan()
        assert self.choose(100, 8, "cpu").chunk < 8

    def test_blocks_of_ones_own_get_all_members_at_once(self):
        class Block(PairwiseConvAvg):
            pass

        model = self.MODEL.clone(block=Block)
        assert plan_context(model, self.SIZE, 500, jax.local_devices(), 10 * MIB) == ContextPlan()
        with pytest.raises(InputError, match="blocks of its own"):
            predict(model, draw_params(model), *arrays(3), context_chunk=2)

    @pytest.mark.parametrize("free_mib", [0, 1, 1000])
    def test_scarce_memory_changes_no_prediction(self, monkeypatch, free_mib):
        monkeypatch.setattr("neuralizer_jax.inference.predict.free_bytes", lambda device: free_mib * MIB)
        episode = arrays(20)
        close(predict(MODEL, PARAMS, *episode).mean, together(MODEL, PARAMS, *episode))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"context_chunk": 0}, "context_chunk: is 0, expected at least 1"),
            ({"keep_activations": True}, "keep_activations: needs context_chunk"),
        ],
    )
    def test_options_that_make_no_sense(self, options, message):
        with pytest.raises(InputError, match=message):
            predict(MODEL, PARAMS, *arrays(3), **options)


def test_memory_does_not_grow_with_the_context():
    # Of 32 and 256 members, in MiB; the activations of all of them together are over a hundred.
    few, many = (child("memory", "streamed", members) for members in (32, 256))
    assert many - few < 20
    assert child("memory", "together", 256) - few > 100


def test_several_devices_share_the_members():
    assert child("devices", devices=2) == {"devices": 2, "difference": pytest.approx(0, abs=1e-5)}
