"""Images of any unit come out in [0, 1]: by one window per modality of a dataset, or by the window of each image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralizer_jax.errors import InputError
from neuralizer_jax.intensity import (
    PERCENTILES,
    apply_window,
    dataset_windows,
    foreground,
    foreground_median,
    foreground_quantiles,
    normalize,
    zero_background,
)


def head(seed=0, contrast=100.0):
    """A ball of bright, varied voxels in dark, noisy air."""
    rng = np.random.default_rng(seed)
    distance = np.linalg.norm(np.indices((40, 40, 40)) - 20, axis=0)
    return np.where(distance < 14, 400 + contrast * rng.normal(size=distance.shape), 5 * rng.random(distance.shape))


def in_window(volume, windows, stripped=False):
    return apply_window(volume / foreground_median(foreground_quantiles(volume, stripped)), windows["T1"])


@given(st.floats(1e-4, 1e4))
def test_the_unit_of_a_scan_does_not_matter(gain):
    volume = head()
    windows = dataset_windows([("T1", foreground_quantiles(head(1), False))])
    np.testing.assert_allclose(in_window(gain * volume, windows), in_window(volume, windows), atol=2e-5)


def test_the_percentiles_of_the_foreground_go_to_0_and_1():
    stripped = np.where(head() > 50, head(), 0)
    windows = dataset_windows([("T1", foreground_quantiles(stripped, True))])
    scaled = in_window(stripped, windows, True)
    inside = stripped[stripped != 0]
    expected = np.percentile(inside, PERCENTILES)
    np.testing.assert_allclose(
        scaled[stripped != 0].mean(), np.clip((inside - expected[0]) / np.ptp(expected), 0, 1).mean(), atol=2e-3
    )
    assert scaled.min() == 0
    assert scaled.max() == 1
    assert (scaled[stripped == 0] == 0).all()


def test_air_is_not_foreground():
    quantiles = foreground_quantiles(head(), False)
    assert quantiles[0] > 30


def test_contrast_between_subjects_stays():
    volumes = [head(0, contrast=20.0), head(1, contrast=120.0)]
    windows = dataset_windows([("T1", foreground_quantiles(volume, False)) for volume in volumes])
    low, high = (in_window(volume, windows)[volume > 100].std() for volume in volumes)
    assert high > 3 * low


def test_every_volume_counts_alike():
    small = np.linspace(1, 3, 50)
    large = np.linspace(1, 3, 500_000)
    assert dataset_windows([("T1", foreground_quantiles(v, True)) for v in (small, large)])["T1"].high == pytest.approx(
        dataset_windows([("T1", foreground_quantiles(large, True))])["T1"].high, abs=0.02
    )


def test_modalities_have_their_own_windows():
    volumes = {"T2": 1.0, "DTI": 2.0, "T1": 3.0}
    quantiles = [(name, foreground_quantiles(head(contrast=40 * scale), False)) for name, scale in volumes.items()]
    windows = dataset_windows(quantiles)
    assert list(windows) == ["DTI", "T1", "T2"]
    assert windows["T1"].high > windows["DTI"].high > windows["T2"].high


@pytest.mark.parametrize("volume", [np.zeros((4, 4, 4)), -head(), np.full((4, 4, 4), -3.0)])
@pytest.mark.parametrize("stripped", [False, True])
def test_no_foreground(volume, stripped):
    if stripped or volume.max() == volume.min():
        with pytest.raises(InputError, match="no foreground above 0"):
            foreground_quantiles(volume, stripped)


def test_a_constant_foreground_has_no_window():
    with pytest.raises(InputError, match="T2: the foreground of all images is constant"):
        dataset_windows([("T2", np.full(1001, 7, np.float32))])


@pytest.mark.parametrize("gain", [1e-3, 1, 1e4])
def test_rounding_outside_of_a_brain_is_no_foreground(gain):
    brain = (gain * stripped()).astype(np.float32)
    rounding = np.float32(1e-7 * gain * np.random.default_rng(1).normal(size=brain.shape))
    np.testing.assert_array_equal(zero_background(np.where(brain > 0, brain, rounding)), brain)
    assert zero_background(brain).dtype == np.float32


def test_nothing_measured_is_no_window():
    assert dataset_windows([]) == {}


def stripped():
    return np.where(head() > 50, head(), 0)


class TestOneImage:
    """`normalize`, which knows nothing but the image."""

    @pytest.mark.parametrize("image", [head(), stripped()], ids=["head", "stripped"])
    @given(exponent=st.integers(-30, 30), offset=st.floats(-1000, 1000))
    def test_gain_and_offset_do_not_matter(self, image, exponent, offset):
        scaled = normalize(image)
        np.testing.assert_allclose(normalize(10.0**exponent * (image + offset)), scaled, atol=1e-5)
        assert scaled.dtype == np.float32
        assert (scaled.min(), scaled.max()) == (0, 1)

    @pytest.mark.parametrize("dtype", ["f2", "f4", "i2", ">u2", "i4", "u8"])
    @pytest.mark.parametrize("image", [head(), stripped()], ids=["head", "stripped"])
    def test_the_datatype_does_not_matter(self, image, dtype):
        image = np.rint(np.abs(image))  # at most 2000, so exact in float16
        np.testing.assert_array_equal(normalize(image.astype(dtype)), normalize(image))

    def test_a_background_is_constant_at_any_value_and_up_to_rounding(self):
        brain = head() > 50
        inside = foreground(stripped())
        rounding = 1e-7 * np.random.default_rng(1).normal(size=brain.shape)
        for background in (0, -1000, 1e-7, 2000, np.median(inside), rounding):
            image = np.where(brain, head(), background)
            found, expected = (np.percentile(x, PERCENTILES) for x in (foreground(image), inside))
            np.testing.assert_allclose(found, expected, atol=0.5)

    @pytest.mark.parametrize("skull_stripped", [False, True])
    def test_it_is_the_window_of_a_dataset_of_this_image_alone(self, skull_stripped):
        volume = stripped() if skull_stripped else head()
        windows = dataset_windows([("T1", foreground_quantiles(volume, skull_stripped))])
        np.testing.assert_allclose(normalize(volume), in_window(volume, windows, skull_stripped), atol=1e-3)

    def test_more_background_changes_nothing(self):
        image = stripped()
        wide = normalize(np.pad(image, 20))
        np.testing.assert_allclose(wide[20:-20, 20:-20, 20:-20], normalize(image), atol=1e-6)

    def test_a_slice_is_scaled_like_its_volume(self):
        volume = head()
        np.testing.assert_array_equal(normalize(volume[:, 8], foreground_of=volume), normalize(volume)[:, 8])

    def test_the_rule_is_chosen_by_the_zeros(self):
        np.testing.assert_array_equal(foreground(head()), foreground(head(), skull_stripped=False))
        np.testing.assert_array_equal(foreground(stripped()), foreground(stripped(), skull_stripped=True))
        # Air whose noise is rounded to 0 and 1 stays air.
        rounded = np.rint(head() / 4)
        np.testing.assert_array_equal(foreground(rounded), foreground(rounded, skull_stripped=False))

    @pytest.mark.parametrize(
        "image",
        [
            stripped() > 0,
            255 * (stripped() > 0),
            np.where(stripped() > 0, (head() - 400) / 100, 0),
            head() - 1000,
            -head(),
            np.arange(-50, 950),
            np.array([0, 7]),
        ],
        ids=["mask", "mask of 255", "z-scores in a mask", "offset", "negative", "ramp", "two pixels"],
    )
    def test_any_image_with_contrast_fills_the_range(self, image):
        scaled = normalize(image)
        assert (scaled.min(), scaled.max()) == (0, 1)
        order = np.argsort(image, axis=None)
        assert (np.diff(scaled.ravel()[order]) >= 0).all()

    def test_one_bright_pixel_does_not_set_the_scale(self):
        image = head()
        image[3, 3, 3] = 1e9
        assert np.median(normalize(image)[head() > 100]) == pytest.approx(
            np.median(normalize(head())[head() > 100]), abs=1e-3
        )

    def test_few_pixels_on_an_empty_background_are_kept(self):
        image = np.zeros((64, 64))
        image[5, 5] = 300
        assert normalize(image)[5, 5] == 1

    @pytest.mark.parametrize("value", [-3.0, 0.0, 7.0])
    def test_a_constant_image_becomes_0(self, value):
        assert not normalize(np.full((4, 4), value)).any()

    def test_what_needs_no_scale_stays_as_it_is(self):
        image = 0.3 * np.random.default_rng(0).random((8, 8), np.float32)
        np.testing.assert_array_equal(normalize(image, how="none"), image)

    @pytest.mark.parametrize("pixels", [1, 3, 20, 2000, 4095])
    @pytest.mark.parametrize("value", [1, 255, 65535])
    def test_a_mask_becomes_0_and_1(self, pixels, value):
        mask = np.zeros((64, 64), np.uint16)
        mask.flat[:pixels] = value
        np.testing.assert_array_equal(normalize(mask), mask > 0)

    def test_a_slice_without_contrast_is_scaled_by_its_volume(self):
        volume = head()
        volume[:, 0] = 0.5
        assert not normalize(volume[:, 0], foreground_of=volume).any()

    def test_values_that_are_not_finite_elsewhere_in_the_volume(self):
        volume = head()
        expected = normalize(volume[:, 20], foreground_of=volume)
        volume[0, 0, 0] = np.nan
        np.testing.assert_allclose(normalize(volume[:, 20], foreground_of=volume), expected, atol=1e-5)
