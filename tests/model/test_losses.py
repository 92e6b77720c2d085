"""Losses are the published ones, an episode's is its own, and no episode spoils another's gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuralizer_jax.losses import episode_loss, mse_loss, sharpened_dice_loss, soft_dice_loss, task_output

RNG = np.random.default_rng(0)
MASK = (RNG.random((3, 8, 6, 1)) > 0.7).astype(np.float32)
IMAGE = RNG.random((3, 8, 6, 1), np.float32)


def plain_dice_loss(prediction, truth):
    """The published formula, pixel by pixel."""
    overlap = squares = 0.0
    for p, t in zip(prediction.ravel().tolist(), truth.ravel().tolist(), strict=True):
        overlap += p * t
        squares += p * p + t * t
    return 1 - (2 * overlap + 1) / (squares + 1)


def batch(is_segmentation):
    is_segmentation = np.array(is_segmentation)
    count = len(is_segmentation)
    where = is_segmentation[:, None, None, None]
    return {"target_out": np.where(where, MASK[:count], IMAGE[:count]), "is_segmentation": is_segmentation}


def loss(prediction, episode, segmentation_sigmoid=False, sharpness=0.0):
    options = {"segmentation_sigmoid": segmentation_sigmoid, "dice_sharpness": sharpness}
    return episode_loss(prediction, episode, sigma_squared=0.05, **options)


class TestSoftDice:
    def test_by_hand(self):
        prediction, truth = np.array([[[[0.5], [0.5]]]], np.float32), np.array([[[[1.0], [0.0]]]], np.float32)
        np.testing.assert_allclose(soft_dice_loss(prediction, truth), [1 - 2 / 2.5], rtol=1e-6)

    def test_equals_the_plain_formula(self):
        prediction = RNG.normal(0.4, 0.5, MASK.shape).astype(np.float32)
        expected = [plain_dice_loss(p, t) for p, t in zip(prediction, MASK, strict=True)]
        np.testing.assert_allclose(soft_dice_loss(prediction, MASK), expected, rtol=1e-5)

    def test_equal_masks_cost_nothing_and_empty_ones_neither(self):
        truth = np.stack([MASK[0], np.zeros_like(MASK[0]), np.ones_like(MASK[0])])
        np.testing.assert_allclose(soft_dice_loss(truth, truth), np.zeros(3), atol=1e-6)

    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=20)
    def test_probabilities_cost_from_zero_to_one_and_either_may_be_the_truth(self, seed):
        one, other = np.random.default_rng(seed).random((2, 3, 4, 4, 1), np.float32)
        its = np.asarray(soft_dice_loss(one, other))
        assert (its > 0).all()
        assert (its < 1).all()
        np.testing.assert_allclose(its, soft_dice_loss(other, one), rtol=1e-6)


class TestSharpenedDice:
    PREDICTION = RNG.normal(0.4, 0.5, MASK.shape).astype(np.float32)

    def test_without_sharpness_it_is_soft_dice(self):
        its = sharpened_dice_loss(self.PREDICTION, MASK, 0.0)
        np.testing.assert_array_equal(its, soft_dice_loss(self.PREDICTION, MASK))

    def test_by_hand(self):
        prediction, truth = np.array([[[[0.6], [0.3]]]], np.float32), np.array([[[[1.0], [0.0]]]], np.float32)
        sharp = 1 / (1 + np.exp(-10 * (prediction.astype(float) - 0.5)))
        expected = (plain_dice_loss(prediction, truth) + plain_dice_loss(sharp, truth)) / 2
        np.testing.assert_allclose(sharpened_dice_loss(prediction, truth, 10.0), [expected], rtol=1e-6)

    @pytest.mark.parametrize("threshold", [0.3, 0.5, 0.6])
    def test_where_it_is_very_sharp_half_of_it_is_the_loss_of_the_mask(self, threshold):
        mask = (threshold < self.PREDICTION).astype(np.float32)
        expected = (soft_dice_loss(self.PREDICTION, MASK) + soft_dice_loss(mask, MASK)) / 2
        its = sharpened_dice_loss(self.PREDICTION, MASK, 1e5, threshold)
        np.testing.assert_allclose(its, expected, atol=1e-3)

    def test_equal_masks_cost_next_to_nothing(self):
        assert np.asarray(sharpened_dice_loss(MASK, MASK, 10.0)).max() < 1e-3


class TestMeanSquaredError:
    def test_is_ten_times_the_mean_at_the_published_variance(self):
        prediction = RNG.random(IMAGE.shape, np.float32)
        expected = [10 * ((p - t) ** 2).mean() for p, t in zip(prediction.astype(float), IMAGE, strict=True)]
        np.testing.assert_allclose(mse_loss(prediction, IMAGE, 0.05), expected, rtol=1e-5)

    def test_variance(self):
        ones = np.ones((1, 2, 2, 1), np.float32)
        np.testing.assert_allclose(mse_loss(ones, 0 * ones, 0.5), [1.0])

    def test_with_its_own_variance_a_decibel_is_worth_the_same_everywhere(self):
        errors = np.sqrt(np.array([1e-3, 1e-2, 1e-1], np.float32)).reshape(3, 1, 1, 1)
        its = np.asarray(mse_loss(errors, 0 * errors, 0.0))
        np.testing.assert_allclose(its, np.log1p([10, 100, 1000]) / 2, rtol=1e-5)
        np.testing.assert_allclose(np.diff(its), np.log(10) / 2, rtol=0.05)
        assert mse_loss(IMAGE, IMAGE, 0.0).tolist() == [0, 0, 0]


class TestEpisodeLoss:
    def test_each_episode_has_the_loss_of_its_kind(self):
        episode = batch([True, False, True])
        prediction = RNG.random(IMAGE.shape, np.float32)
        dice = soft_dice_loss(prediction, episode["target_out"])
        error = mse_loss(prediction, episode["target_out"], 0.05)
        np.testing.assert_allclose(loss(prediction, episode), [dice[0], error[1], dice[2]], rtol=1e-6)

    def test_only_the_first_channel_counts_and_half_precision_is_widened(self):
        episode = batch([True, False])
        prediction = jnp.asarray(RNG.random((2, 8, 6, 3)), jnp.bfloat16)
        its = loss(prediction, episode)
        assert its.dtype == jnp.float32
        first = np.asarray(prediction[..., :1], np.float32)
        np.testing.assert_allclose(its, loss(first, episode), rtol=1e-6)

    def test_logits_are_those_of_segmentations_only(self):
        episode = batch([True, False])
        logits = RNG.normal(0, 3, (2, 8, 6, 1)).astype(np.float32)
        probability = 1 / (1 + np.exp(-logits[0].astype(float)))
        expected = [plain_dice_loss(probability, MASK[0]), mse_loss(logits[1:], IMAGE[1:2], 0.05)[0]]
        np.testing.assert_allclose(loss(logits, episode, segmentation_sigmoid=True), expected, rtol=1e-5)
        output = task_output(logits, episode["is_segmentation"], True)
        np.testing.assert_allclose(output[0], probability, rtol=1e-5)
        np.testing.assert_array_equal(output[1], logits[1])

    def test_sharpness_is_of_segmentations_only(self):
        episode, prediction = batch([True, False]), RNG.random((2, 8, 6, 1), np.float32)
        its = loss(prediction, episode, sharpness=10.0)
        expected = sharpened_dice_loss(prediction[:1], MASK[:1], 10.0)
        np.testing.assert_allclose(its, [expected[0], loss(prediction, episode)[1]], rtol=1e-6)

    @pytest.mark.parametrize("sharpness", [0.0, 10.0])
    @pytest.mark.parametrize("sigmoid", [False, True])
    @pytest.mark.parametrize("is_segmentation", [False, True])
    @pytest.mark.parametrize("value", [0.0, 1e15, -1e15, 1e25])
    def test_the_other_loss_does_not_spoil_the_gradient(self, value, is_segmentation, sigmoid, sharpness):
        # Nothing in image and truth, or so much that squares are infinite.
        episode = {"target_out": np.zeros((1, 8, 6, 1), np.float32), "is_segmentation": np.array([is_segmentation])}
        prediction = np.full((1, 8, 6, 1), value, np.float32)
        value, gradient = jax.value_and_grad(lambda x: loss(x, episode, sigmoid, sharpness).sum())(prediction)
        assert np.isfinite(gradient).all() or not np.isfinite(value)


@pytest.mark.torch
def test_against_pytorch():
    torch = pytest.importorskip("torch")
    prediction = RNG.normal(0.4, 0.5, MASK.shape).astype(np.float32)
    p, t = torch.tensor(prediction, requires_grad=True), torch.tensor(MASK)
    flat_p, flat_t = p.flatten(1), t.flatten(1)
    dice = 1 - (2 * (flat_p * flat_t).sum(1) + 1) / (flat_p.square().sum(1) + flat_t.square().sum(1) + 1)
    dice.sum().backward()
    np.testing.assert_allclose(soft_dice_loss(prediction, MASK), dice.detach().numpy(), rtol=1e-5)
    gradient = jax.grad(lambda x: soft_dice_loss(x, MASK).sum())(prediction)
    np.testing.assert_allclose(gradient, p.grad.numpy(), rtol=1e-4, atol=1e-7)
    error = torch.nn.functional.mse_loss(p, t, reduction="none").flatten(1).mean(1) / (2 * 0.05)
    np.testing.assert_allclose(mse_loss(prediction, MASK, 0.05), error.detach().numpy(), rtol=1e-5)
