"""Metrics of single predictions, against values made by hand and by plain definitions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from neuralizer_jax.evaluation.case_scores import case_scores, hd95, ssim

masks = arrays.arrays(bool, (12, 9))


def rectangle(top, bottom, left, right, size=16):
    mask = np.zeros((size, size), bool)
    mask[top:bottom, left:right] = True
    return mask


def surface(mask):
    height, width = mask.shape

    def inside(row, column):
        return 0 <= row < height and 0 <= column < width and mask[row, column]

    return [
        (row, column)
        for row in range(height)
        for column in range(width)
        if mask[row, column] and not all(inside(row + a, column + b) for a, b in ((-1, 0), (1, 0), (0, -1), (0, 1)))
    ]


def plain_hd95(mask, other, pixel):
    """By the definition, every pixel with every other."""

    def directed(here, there):
        distances = sorted(min(math.dist(a, b) for b in there) for a in here)
        place = 0.95 * (len(distances) - 1)
        low = int(place)
        high = min(low + 1, len(distances) - 1)
        return distances[low] + (place - low) * (distances[high] - distances[low])

    one, two = surface(mask), surface(other)
    return pixel * max(directed(one, two), directed(two, one))


class TestHd95:
    def test_by_hand(self):
        """A bar of 1x10 pixels, and the same two pixels lower: every distance is 2 pixels of 3 mm."""
        assert hd95(rectangle(4, 5, 2, 12), rectangle(6, 7, 2, 12), 3.0) == pytest.approx(6.0)
        # Longer by 3: from nine of its 13 pixels the distance is 0 (and of one more), then 1, 2, 3 pixels. The 95th
        # percentile lies at place 0.95 * 12 = 11.4: between 2 and 3.
        assert hd95(rectangle(4, 5, 2, 15), rectangle(4, 5, 2, 12), 1.0) == pytest.approx(2.4)
        # The other direction is 0 everywhere; the larger one counts, whichever is the truth.
        assert hd95(rectangle(4, 5, 2, 12), rectangle(4, 5, 2, 15), 1.0) == pytest.approx(2.4)
        # A square's inside is not its surface: with it, the square in a square would be nearer.
        assert hd95(rectangle(2, 13, 2, 13), rectangle(4, 11, 4, 11), 1.0) == pytest.approx(math.sqrt(8))

    def test_masks_that_are_empty(self):
        empty, full = rectangle(0, 0, 0, 0), rectangle(2, 5, 2, 5)
        assert hd95(empty, empty, 1.0) == 0
        assert math.isnan(hd95(empty, full, 1.0))
        assert math.isnan(hd95(full, empty, 1.0))

    @settings(max_examples=60)
    @given(masks, masks, st.sampled_from([1.0, 1.5, 3.0]))
    def test_is_what_the_definition_says(self, mask, other, pixel):
        if mask.any() and other.any():
            assert hd95(mask, other, pixel) == pytest.approx(plain_hd95(mask, other, pixel))
        assert hd95(mask, mask, pixel) == 0


class TestSsim:
    def test_is_what_the_definition_says(self):
        """The mean, without the border, of Wang's formula on Gaussian windows."""
        rng = np.random.default_rng(0)
        truth = ndimage.gaussian_filter(rng.random((40, 40)), 2) * 3 % 1
        prediction = np.clip(0.8 * truth + 0.3 * rng.random((40, 40)), 0, 1)
        axis = np.arange(-5, 6)
        window = np.exp(-(axis**2) / (2 * 1.5**2))
        window = np.outer(window, window) / window.sum() ** 2
        values = []
        for row in range(5, 35):
            for column in range(5, 35):
                x, y = (image[row - 5 : row + 6, column - 5 : column + 6] for image in (prediction, truth))
                mx, my = (window * x).sum(), (window * y).sum()
                vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
                cxy = (window * (x - mx) * (y - my)).sum()
                c1, c2 = 0.01**2, 0.03**2
                values.append((2 * mx * my + c1) * (2 * cxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
        assert ssim(prediction, truth) == pytest.approx(np.mean(values), abs=1e-6)

    def test_what_is_beyond_the_range_is_clipped(self):
        truth = np.random.default_rng(1).integers(0, 2, (20, 20)).astype(np.float32)
        assert ssim(truth, truth) == pytest.approx(1)
        assert ssim(3 * truth - 1, truth) == pytest.approx(1)


class TestCaseScores:
    @pytest.mark.parametrize("size", [16, 48])
    def test_a_segmentation(self, size):
        """Half of 2x4 pixels are found, and nothing else; a pixel of a smaller image is larger."""
        truth = rectangle(4, 6, 4, 8, size).astype(np.float32)
        prediction = np.where(rectangle(4, 6, 4, 6, size), 0.6, 0.5).astype(np.float32)
        scores = case_scores(prediction, truth, True)
        assert list(scores) == ["dice", "hd95"]
        assert scores["dice"] == pytest.approx(2 * 4 / (4 + 8))
        # Distances 0 (four times), 1 and 2 (twice each), in pixels.
        assert scores["hd95"] == pytest.approx(2 * 192 / size)
        assert case_scores(prediction, truth, True, extent=96)["hd95"] == pytest.approx(2 * 96 / size)

    def test_an_image(self):
        rng = np.random.default_rng(2)
        truth = rng.random((32, 32), np.float32)
        prediction = (truth + rng.normal(0, 0.2, truth.shape)).astype(np.float32)
        scores = case_scores(prediction, truth, False)
        assert list(scores) == ["psnr", "ssim"]
        error = np.mean((np.clip(prediction, 0, 1) - truth) ** 2)
        assert scores["psnr"] == pytest.approx(-10 * np.log10(error), rel=1e-5)
        assert scores["ssim"] == pytest.approx(ssim(prediction, truth))
        assert case_scores(truth, truth, False) == {"psnr": pytest.approx(100), "ssim": pytest.approx(1)}
