"""Dice and PSNR are what their definitions say, at the edges too."""

import jax
import numpy as np
import pytest

from neuralizer_jax.metrics import MAX_PSNR, dice, psnr

RNG = np.random.default_rng(0)


def plane(*values):
    """An image of one row `[1, 1, W, 1]`."""
    return np.array(values, np.float32).reshape(1, 1, -1, 1)


class TestDice:
    @pytest.mark.parametrize(
        ("prediction", "truth", "expected"),
        [
            (plane(1, 1, 0, 0), plane(1, 0, 1, 0), 0.5),
            (plane(0.51, 7, -3, 0.5), plane(1, 1, 0, 0), 1.0),  # 0.5 itself is background
            (plane(1, 1, 1, 1), plane(1, 0, 0, 0), 0.4),
            (plane(0, 0, 0, 0), plane(0, 0, 0, 0), 1.0),
            (plane(0, 0, 0, 0), plane(1, 0, 0, 0), 0.0),
            (plane(1, 0, 0, 0), plane(0, 0, 0, 0), 0.0),
        ],
    )
    def test_by_hand(self, prediction, truth, expected):
        np.testing.assert_allclose(dice(prediction, truth), [expected], rtol=1e-6)

    def test_equals_the_overlap_of_sets_of_pixels(self):
        prediction = RNG.random((5, 40, 30, 1), np.float32)
        truth = (RNG.random((5, 40, 30, 1)) > 0.8).astype(np.float32)
        expected = []
        for p, t in zip(prediction, truth, strict=True):
            p, t = set(np.flatnonzero(p > 0.5)), set(np.flatnonzero(t > 0.5))
            expected.append(2 * len(p & t) / (len(p) + len(t)))
        np.testing.assert_allclose(jax.jit(dice)(prediction, truth), expected, rtol=1e-6)


class TestPsnr:
    @pytest.mark.parametrize(("error", "expected"), [(0.1, 20.0), (0.01, 40.0), (1.0, 0.0), (1e-6, MAX_PSNR)])
    def test_of_a_constant_error(self, error, expected):
        truth = np.zeros((1, 4, 4, 1), np.float32)
        np.testing.assert_allclose(psnr(truth + np.float32(error), truth), [expected], atol=1e-4)

    def test_equals_the_definition(self):
        truth, noise = RNG.random((5, 16, 12, 1), np.float32), RNG.normal(0, 0.2, (5, 16, 12, 1)).astype(np.float32)
        expected = []
        for p, t in zip(truth + noise, truth, strict=True):
            errors = [(min(max(a, 0), 1) - b) ** 2 for a, b in zip(p.ravel().tolist(), t.ravel().tolist(), strict=True)]
            expected.append(10 * np.log10(1 / (sum(errors) / len(errors))))
        np.testing.assert_allclose(jax.jit(psnr)(truth + noise, truth), expected, rtol=1e-5)

    def test_identical_images_have_the_highest_that_there_is(self):
        truth = RNG.random((1, 4, 4, 1), np.float32)
        np.testing.assert_allclose(psnr(truth, truth), [MAX_PSNR], rtol=1e-6)

    def test_beyond_the_range_is_no_error(self):
        np.testing.assert_allclose(psnr(plane(1.5, -2), plane(1, 0)), [MAX_PSNR], rtol=1e-6)

    def test_nan_is_not_hidden(self):
        assert np.isnan(psnr(plane(np.nan, 0), plane(1, 0))).all()
