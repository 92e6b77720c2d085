"""Untrained baselines: predictors without parameters, which a trained model has to beat.

Each is a function of one episode, images in [0, 1]: `target_in` `[H, W, 3]`, `context_in` `[N, H, W, 3]` and
`context_out` `[N, H, W, 1]`, all members valid. It returns the output, float32 `[H, W]`; for a segmentation,
probabilities.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from neuralizer_jax.evaluation.predictor import Arrays, Predictor
from neuralizer_jax.evaluation.scores import Kind

# Bins of the intensity map, evenly spaced from 0 to 1.
_BINS = 64

_EPISODE = ("target_in", "context_in", "context_out")


def untrained_baselines() -> list[Predictor]:
    """All untrained baselines.

    >>> [baseline.name for baseline in untrained_baselines()]
    ['Input as it is', 'Mean context output', 'Nearest context pair', 'Intensity map']
    """
    functions = (input_as_it_is, mean_context_output, nearest_context_pair, intensity_map)
    return [
        Predictor(
            function.__name__.replace("_", " ").capitalize(),
            partial(_batch, function),
            Kind.UNTRAINED,
            segments=function is not input_as_it_is,
        )
        for function in functions
    ]


def input_as_it_is(target_in: np.ndarray, context_in: np.ndarray, context_out: np.ndarray) -> np.ndarray:
    """The first channel of the target's input that is not empty. Not used for segmentation."""
    return target_in[..., target_in.any((0, 1)).argmax()]


def mean_context_output(target_in: np.ndarray, context_in: np.ndarray, context_out: np.ndarray) -> np.ndarray:
    """The mean of the context's outputs.

    All slices are aligned to MNI152, so for a segmentation this is the majority vote of the aligned labels; a pixel
    that exactly half of them contain is not in the mask.
    """
    return context_out[..., 0].mean(0)


def nearest_context_pair(target_in: np.ndarray, context_in: np.ndarray, context_out: np.ndarray) -> np.ndarray:
    """The output of the context pair whose input has the least mean squared error to the target's."""
    errors = [np.mean((member - target_in) ** 2) for member in context_in]
    return context_out[np.argmin(errors), ..., 0]


def intensity_map(target_in: np.ndarray, context_in: np.ndarray, context_out: np.ndarray) -> np.ndarray:
    """Maps each intensity (in `_BINS` bins) to the mean output of the context's pixels with that intensity.

    Bins that are empty in the context are interpolated linearly. If the input has several channels, the channel whose
    map fits the context best, by least squares, is used.
    """
    output = context_out.ravel()
    fits = [_fitted(_bins(context_in[..., channel]).ravel(), output) for channel in range(context_in.shape[-1])]
    channel = int(np.argmax([explained for explained, _ in fits]))
    return fits[channel][1][_bins(target_in[..., channel])]


def _fitted(bins: np.ndarray, output: np.ndarray) -> tuple[float, np.ndarray]:
    """The sum of squares of the output that the map explains, and the map: the mean output of each bin `[_BINS]`."""
    number, total = np.bincount(bins, minlength=_BINS), np.bincount(bins, output, _BINS)
    there = np.flatnonzero(number)
    means = total[there] / number[there]
    return float(total[there] @ means), np.interp(np.arange(_BINS), there, means).astype(np.float32)


def _bins(intensity: np.ndarray) -> np.ndarray:
    """The bin of each intensity; the first and last bins take those outside of [0, 1]."""
    return np.clip((intensity * _BINS).astype(np.int64), 0, _BINS - 1)


def _batch(function: Callable[..., np.ndarray], episodes: Arrays) -> np.ndarray:
    """The outputs `[B, H, W]` for a batch of episodes."""
    return np.stack([function(*arrays) for arrays in zip(*(episodes[name] for name in _EPISODE), strict=True)])
