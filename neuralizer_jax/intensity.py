"""Intensity normalisation: images in any unit to [0, 1], for prepared datasets and for `predict` alike.

The unit of an MR image is arbitrary, and its background takes up more or less of the picture. So two percentiles of the
foreground (`PERCENTILES`), measured over the whole volume, become 0 and 1, and values beyond them are clipped.

- A prepared dataset has one window per modality, measured over all training subjects (`dataset_windows`). Each volume
  is first divided by the median of its foreground. Differences in contrast between subjects stay, and a tumour does not
  darken the rest of its image.
- `predict` sees files one by one: each image has the window of its own foreground (`normalize`).
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from neuralizer_jax.errors import InputError

NORMALIZATIONS = ("auto", "percentile", "none")

# Percentiles of the foreground that become 0 and 1.
PERCENTILES = (0.5, 99.5)

# The foreground of a full head lies above this fraction of the range between two percentiles of the whole volume, as in
# the first step of BET (Smith 2002, https://doi.org/10.1002/hbm.10062).
_RANGE_PERCENTILES = (2, 98)
_BACKGROUND_FRACTION = 0.1

# An image counts as skull-stripped if at least this share of its darkest values (by the same fraction) is exactly 0.
_STRIPPED_ZEROS = 0.75

# A volume's foreground is kept as this many evenly spaced quantiles.
_QUANTILES = np.linspace(0, 1, 1001)

# Every n-th voxel of a larger volume is enough to measure its foreground.
_MAX_SAMPLES = 2_000_000


@dataclass(frozen=True)
class Window:
    """The intensities that become 0 and 1. For a dataset, in units of the volume's foreground median."""

    low: float
    high: float


def normalize(image: np.ndarray, *, foreground_of: np.ndarray | None = None, how: str = "auto") -> np.ndarray:
    """Scales an image to [0, 1] by the window of its own foreground.

    An image whose foreground is empty or constant, such as a mask, is scaled by the percentiles of all its values. A
    constant image becomes 0.

    Args:
        image: any shape, one channel, any unit.
        foreground_of: the volume that the image was cut from, in the same unit; None: the image itself.
        how: `percentile` scales; `auto` scales unless all values are in [0, 1] already; `none` does not scale.

    Returns:
        float32 of the same shape.

    >>> scan = np.array([[0, 0, 0, 0], [0, 100, 200, 300]])
    >>> normalize(scan)
    array([[0. , 0. , 0. , 0. ],
           [0. , 0. , 0.5, 1. ]], dtype=float32)
    """
    image = np.asarray(image, np.float32)
    source = np.asarray(image if foreground_of is None else foreground_of, np.float32)
    if how == "none" or (how == "auto" and source.min() >= 0 and source.max() <= 1):
        return image
    values = _samples(source)
    values = values[np.isfinite(values)]
    for part in (foreground(values), values):
        low, high = np.percentile(part, PERCENTILES) if part.size else (0, 0)
        if low < high:
            return apply_window(image, Window(float(low), float(high)))
    # A few bright pixels on an empty background lie beyond both percentiles.
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    return apply_window(image, Window(float(low), float(high if low < high else low + 1)))


def foreground(volume: np.ndarray, skull_stripped: bool | None = None) -> np.ndarray:
    """The intensities `[n]` of the head or brain.

    Args:
        volume: any shape, finite.
        skull_stripped: True: the foreground is what is not 0. False: it is what lies above a tenth of the way from the
            2nd to the 98th percentile. None: True if at least three quarters of the values below that are exactly 0.

    >>> foreground(np.array([0, 0, 0, 5, 6, 7])), foreground(np.array([1, 0, 2, 50, 60, 70]))
    (array([5, 6, 7]), array([50, 60, 70]))
    """
    values = np.ravel(volume)
    if not values.size:
        return values
    if not skull_stripped:
        low, high = np.percentile(values, _RANGE_PERCENTILES)
        reach = _BACKGROUND_FRACTION * (high - low)
    if skull_stripped is None:
        dark = int(np.count_nonzero(np.abs(values) <= reach))
        skull_stripped = dark > 0 and int(np.count_nonzero(values == 0)) >= _STRIPPED_ZEROS * dark
    return values[values != 0] if skull_stripped else values[values > low + reach]


def foreground_quantiles(volume: np.ndarray, skull_stripped: bool) -> np.ndarray:
    """Quantiles `[1001]` float32, from minimum to maximum, of the foreground's intensities (`foreground`).

    Raises:
        InputError: if the foreground is empty, or its median is not above 0.

    >>> foreground_quantiles(np.array([0, 0, 5, 6, 7]), skull_stripped=True)[[0, 500, 1000]]
    array([5., 6., 7.], dtype=float32)
    """
    inside = foreground(_samples(volume), skull_stripped)
    quantiles = np.quantile(inside, _QUANTILES).astype(np.float32) if inside.size else np.zeros(1, np.float32)
    if foreground_median(quantiles) <= 0:
        raise InputError("no foreground above 0, expected an image of a head or a brain")
    return quantiles


def foreground_median(quantiles: np.ndarray) -> np.float32:
    """The median of evenly spaced quantiles: the unit of a dataset's windows."""
    return quantiles[quantiles.size // 2]


def dataset_windows(volumes: Iterable[tuple[str, np.ndarray]]) -> dict[str, Window]:
    """The window of each modality, from pairs of modality and foreground quantiles; every volume counts alike.

    Raises:
        InputError: if the foreground of a modality is constant.

    >>> dataset_windows([("T1", np.linspace(100, 300, 1001)), ("T1", np.linspace(1, 3, 1001))])
    {'T1': Window(low=0.505, high=1.495)}
    """
    pooled = defaultdict(list)
    for modality, quantiles in volumes:
        pooled[modality].append(quantiles / foreground_median(quantiles))
    windows = {}
    for modality, parts in sorted(pooled.items()):
        low, high = np.percentile(np.concatenate(parts), PERCENTILES)
        if not low < high:
            raise InputError(f"{modality}: the foreground of all images is constant, expected contrast")
        windows[modality] = Window(float(low), float(high))
    return windows


def apply_window(image: np.ndarray, window: Window) -> np.ndarray:
    """Scales an image linearly so that the window becomes [0, 1], and clips; float32.

    >>> apply_window(np.array([0, 1, 2, 3, 4]), Window(1, 3))
    array([0. , 0. , 0.5, 1. , 1. ], dtype=float32)
    """
    scaled = (np.asarray(image, np.float32) - window.low) / (window.high - window.low)
    return np.clip(scaled, 0, 1).astype(np.float32)


def _samples(volume: np.ndarray) -> np.ndarray:
    values = np.ravel(volume)
    return values[:: max(1, values.size // _MAX_SAMPLES)]
