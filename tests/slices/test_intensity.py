"""Scans of arbitrary units come out in [0, 1], with one window for a modality of a dataset."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from input_pipeline.slices.intensity import (
    PERCENTILES,
    Window,
    apply_window,
    dataset_windows,
    foreground_quantiles,
)
from input_pipeline.space.modalities import series_of
from neuralizer_jax.errors import InputError


def head(seed=0, contrast=100.0):
    """A ball of bright, varied voxels in dark, noisy air."""
    rng = np.random.default_rng(seed)
    distance = np.linalg.norm(np.indices((40, 40, 40)) - 20, axis=0)
    return np.where(distance < 14, 400 + contrast * rng.normal(size=distance.shape), 5 * rng.random(distance.shape))


def in_window(volume, windows, stripped=False):
    return apply_window(volume, foreground_quantiles(volume, stripped), windows["T1"])


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


def test_diffusion_directions_share_a_window_and_modalities_do_not():
    volumes = {"T1": 1.0, "DTI-00": 2.0, "DTI-16": 3.0}
    quantiles = [(name, foreground_quantiles(head(contrast=40 * scale), False)) for name, scale in volumes.items()]
    windows = dataset_windows(quantiles)
    assert list(windows) == ["DTI", "T1"]
    assert windows["DTI"].high > windows["T1"].high
    assert series_of("DTI-05") == "DTI"


def test_windows_scale_linearly_between_their_ends():
    quantiles = np.full(1001, 2, np.float32)  # the unit is 2
    scaled = apply_window(np.array([-1.0, 1.0, 2.0, 3.0, 9.0]), quantiles, Window(0.5, 1.5))
    np.testing.assert_allclose(scaled, [0, 0, 0.5, 1, 1])
    assert scaled.dtype == np.float32


@pytest.mark.parametrize("volume", [np.zeros((4, 4, 4)), -head(), np.full((4, 4, 4), -3.0)])
@pytest.mark.parametrize("stripped", [False, True])
def test_no_foreground(volume, stripped):
    if stripped or volume.max() == volume.min():
        with pytest.raises(InputError, match="no foreground above 0"):
            foreground_quantiles(volume, stripped)


def test_a_constant_foreground_has_no_window():
    with pytest.raises(InputError, match="T2: the foreground of all images is constant"):
        dataset_windows([("T2", np.full(1001, 7, np.float32))])


def test_nothing_measured_is_no_window():
    assert dataset_windows([]) == {}
