"""Intensity normalisation: images in any unit to [0, 1], for prepared datasets and for `predict` alike.

The unit of an MR image is arbitrary, and its background takes up more or less of the picture. So two percentiles of the
foreground (`PERCENTILES`), measured over the whole volume, become 0 and 1, and values beyond them are clipped.

- A prepared dataset has one window per modality, measured over all training subjects (`dataset_windows`). Each volume
  is first divided by the median of its foreground. Differences in contrast between subjects stay, and a tumour does not
  darken the rest of its image.
- `predict` sees files one by one: each image has the window of its own foreground (`normalize`). So neither gain nor
  offset of an image changes a prediction.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from neuralizer_jax.errors import InputError

NORMALIZATIONS = ("percentile", "none")

# Percentiles of the foreground that become 0 and 1.
PERCENTILES = (0.5, 99.5)

# The foreground of a full head lies above this fraction of the range between two percentiles of the whole volume, as in
# the first step of BET (Smith 2002, https://doi.org/10.1002/hbm.10062).
_RANGE_PERCENTILES = (2, 98)
_BACKGROUND_FRACTION = 0.1

# Values this close to each other count as one value, as a share of the same range. Noise of air is larger.
_SAME = 1e-4

# A value this close to 0, as a share of the same range, is 0 but for rounding in float32.
_ROUNDING = 1e-6

# A value is a constant background if at least this share of the values within a background fraction of it is the same.
_CONSTANT = 0.75

# A constant background that is not the darkest part of an image, as around z-scores, is at least this share of it.
_LEAST_BACKGROUND = 0.2

# A volume's foreground is kept as this many evenly spaced quantiles.
_QUANTILES = np.linspace(0, 1, 1001)

# Every n-th voxel of a larger volume is enough to measure its foreground.
_MAX_SAMPLES = 2_000_000


@dataclass(frozen=True)
class Window:
    """The intensities that become 0 and 1. For a dataset, in units of the volume's foreground median."""

    low: float
    high: float


def normalize(image: np.ndarray, *, foreground_of: np.ndarray | None = None, how: str = "percentile") -> np.ndarray:
    """Scales an image to [0, 1] by the window of its own foreground.

    An image whose foreground is empty or constant, such as a mask, is scaled by the percentiles of all its values. A
    constant image becomes 0.

    Args:
        image: any shape, one channel, any unit.
        foreground_of: the volume that the image was cut from, in the same unit; None: the image itself.
        how: `percentile` scales; `none` does not, for images that are in [0, 1] already.

    Returns:
        float32 of the same shape.

    >>> scan = np.array([[0, 0, 0, 0], [0, 100, 200, 300]])
    >>> normalize(scan)
    array([[0. , 0. , 0. , 0. ],
           [0. , 0. , 0.5, 1. ]], dtype=float32)
    >>> (normalize(scan / 4095 + 1000) == normalize(scan)).all()
    np.True_
    """
    if how == "none":
        return np.asarray(image, np.float32)
    # float64, as float32 would lose small contrasts on a large offset.
    image = np.asarray(image, np.float64)
    return apply_window(image, own_window(image if foreground_of is None else foreground_of))


def own_window(image: np.ndarray) -> Window:
    """The window that `normalize` scales an image by; arguments and special cases as there.

    >>> own_window(np.array([[0, 0, 0, 0], [0, 100, 200, 300]]))
    Window(low=101.0, high=299.0)
    """
    values = _samples(np.asarray(image, np.float64))
    values = values[np.isfinite(values)]
    for part in (foreground(values), values):
        low, high = np.percentile(part, PERCENTILES) if part.size else (0, 0)
        if low < high:
            return Window(float(low), float(high))
    # A few bright pixels on an empty background lie beyond both percentiles.
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    return Window(float(low), float(high if low < high else low + 1))


def foreground(volume: np.ndarray, skull_stripped: bool | None = None) -> np.ndarray:
    """The intensities `[n]` of the head or brain.

    Args:
        volume: any shape, finite.
        skull_stripped: True: the foreground is what is not 0. False: it is what lies above a tenth of the way from the
            2nd to the 98th percentile. None: what is not the constant background, if there is one, and as False
            otherwise; the result follows any gain above 0 and any offset of the volume.

    >>> foreground(np.array([3, 3, 3, 5, 6, 7])), foreground(np.array([1, 0, 2, 50, 60, 70]))
    (array([5, 6, 7]), array([50, 60, 70]))
    """
    values = np.ravel(volume)
    if skull_stripped or not values.size:
        return values[values != 0]
    low, high = np.percentile(values, _RANGE_PERCENTILES)
    head = values > low + _BACKGROUND_FRACTION * (high - low)
    if skull_stripped is None:
        for candidates, least in ((values[~head], 0), (values, _LEAST_BACKGROUND)):
            background = _most_frequent(candidates, _SAME * (high - low))
            distance = np.abs(values - background)
            same = distance <= _SAME * (high - low)
            near = distance <= _BACKGROUND_FRACTION * (high - low)
            if same.sum() >= max(_CONSTANT * near.sum(), least * values.size):
                return values[~same]
    return values[head]


def _most_frequent(values: np.ndarray, step: float) -> float:
    """The most frequent of the values `[n]`, of which those within a step count as one."""
    if not step:
        return np.median(values)
    steps, counts = np.unique(np.floor((values - values.min()) / step), return_counts=True)
    return values.min() + (steps[counts.argmax()] + 0.5) * step


def zero_background(volume: np.ndarray) -> np.ndarray:
    """Sets what is 0 up to rounding to 0, as outside of a brain after resampling or arithmetic.

    >>> zero_background(np.array([1e-7, -1e-8, 0.2, 0.5, 0.9]))
    array([0. , 0. , 0.2, 0.5, 0.9])
    """
    low, high = np.percentile(_samples(volume), _RANGE_PERCENTILES)
    return np.where(np.abs(volume) <= _ROUNDING * (high - low), np.zeros_like(volume, shape=()), volume)


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
    scaled = (image - window.low) / (window.high - window.low)
    return np.clip(scaled, 0, 1).astype(np.float32)


def _samples(volume: np.ndarray) -> np.ndarray:
    values = np.ravel(volume)
    return values[:: max(1, values.size // _MAX_SAMPLES)]
