"""Intensities of scans to [0, 1]: first each volume's gain, then one window for a modality of a dataset.

The unit of most MR images is arbitrary, a scan's gain as good as any other (of ADC maps the unit differs between sites
by powers of ten). So each volume is divided by its median over the foreground: the brain where it is skull-stripped,
the head otherwise. What then goes to 0 and 1 are the percentiles `PERCENTILES` over the foregrounds of the dataset's
training subjects, one window a modality (all diffusion directions share one): differences in contrast between subjects
stay, and a tumour does not darken the rest of its image.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from input_pipeline.space.modalities import series_of
from neuralizer_jax.errors import InputError

PERCENTILES = (0.5, 99.5)

# A volume's foreground is kept as this many evenly spaced quantiles.
_QUANTILES = np.linspace(0, 1, 1001)

# Of a large volume every n-th voxel is enough.
_SAMPLES = 2_000_000


@dataclass(frozen=True)
class Window:
    """What goes to 0 and to 1, in units of the volume's foreground median."""

    low: float
    high: float


def foreground_quantiles(volume: np.ndarray, skull_stripped: bool) -> np.ndarray:
    """Quantiles `[1001]` float32, from minimum to maximum, of the foreground's intensities.

    Args:
        volume: any shape, finite.
        skull_stripped: the foreground is what is not 0; otherwise what lies above a tenth of the way from the 2nd to
            the 98th percentile of the volume, as in the first step of BET (Smith 2002, https://doi.org/10.1002/hbm.10062).

    Raises:
        InputError: where the foreground is empty, or its median not above 0.
    """
    values = np.ravel(volume)
    values = values[:: max(1, values.size // _SAMPLES)]
    if skull_stripped:
        inside = values[values != 0]
    else:
        low, high = np.percentile(values, (2, 98))
        inside = values[values > low + 0.1 * (high - low)]
    quantiles = np.quantile(inside, _QUANTILES).astype(np.float32) if inside.size else np.zeros(1, np.float32)
    if quantiles[quantiles.size // 2] <= 0:
        raise InputError("no foreground above 0, expected an image of a head or a brain")
    return quantiles


def dataset_windows(volumes: Iterable[tuple[str, np.ndarray]]) -> dict[str, Window]:
    """The window of each modality, of pairs of modality and quantiles; every volume counts alike.

    Raises:
        InputError: where the foreground of a modality is constant.
    """
    pooled = defaultdict(list)
    for modality, quantiles in volumes:
        pooled[series_of(modality)].append(quantiles / _gain(quantiles))
    windows = {}
    for modality, parts in sorted(pooled.items()):
        low, high = np.percentile(np.concatenate(parts), PERCENTILES)
        if not low < high:
            raise InputError(f"{modality}: the foreground of all images is constant, expected contrast")
        windows[modality] = Window(float(low), float(high))
    return windows


def apply_window(image: np.ndarray, quantiles: np.ndarray, window: Window) -> np.ndarray:
    """An image cut from the volume that the quantiles are of, in [0, 1]: scaled, then clipped."""
    scaled = (np.asarray(image, np.float32) / _gain(quantiles) - window.low) / (window.high - window.low)
    return np.clip(scaled, 0, 1).astype(np.float32)


def _gain(quantiles: np.ndarray) -> np.float32:
    return quantiles[quantiles.size // 2]
