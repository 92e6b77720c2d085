"""Predictors that have learned nothing: what a model has to beat. They know the target's input and its context.

Each is a function of one episode, images in [0, 1]: `target_in` `[H, W, 3]`, `context_in` `[N, H, W, 3]` and
`context_out` `[N, H, W, 1]`, all members valid. It gives the output `[H, W]` float32, of a segmentation a probability.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from neuralizer_jax.evaluation.predictor import Arrays, Predictor

# Intensities that the map tells apart, evenly from 0 to 1.
_BINS = 64

_EPISODE = ("target_in", "context_in", "context_out")


def trivial_predictors() -> list[Predictor]:
    """All of them, to be evaluated as models are, `n` being the size of the context."""
    functions: dict[str, Callable[..., np.ndarray]] = {
        "Input as it is": input_as_it_is,
        "Mean context output": mean_context_output,
        "Nearest context pair": nearest_context_pair,
        "Intensity map": intensity_map,
    }
    return [
        Predictor(name, partial(_of_each, function), of_masks=function is not input_as_it_is, in_examples=False)
        for name, function in functions.items()
    ]


def input_as_it_is(target_in: np.ndarray, context_in: np.ndarray, context_out: np.ndarray) -> np.ndarray:
    """The first channel of the target's input that carries an image. It is no answer to a segmentation."""
    return target_in[..., target_in.any((0, 1)).argmax()]


def mean_context_output(target_in: np.ndarray, context_in: np.ndarray, context_out: np.ndarray) -> np.ndarray:
    """The mean of the context's outputs.

    All slices are aligned to MNI152, so that of a segmentation the mean above 0.5 is the majority vote of the aligned
    labels; where half of them have a pixel it is not in the mask.
    """
    return context_out[..., 0].mean(0)


def nearest_context_pair(target_in: np.ndarray, context_in: np.ndarray, context_out: np.ndarray) -> np.ndarray:
    """The output of the member with the input most like the target's: least mean squared error over all channels."""
    errors = [np.mean((member - target_in) ** 2) for member in context_in]
    return context_out[np.argmin(errors), ..., 0]


def intensity_map(target_in: np.ndarray, context_in: np.ndarray, context_out: np.ndarray) -> np.ndarray:
    """The mean output of all pixels of the context that have the pixel's intensity, in `_BINS` of them.

    Where no pixel of the context has it, it is interpolated linearly between those that are there. Where the input has
    several channels it is that one's intensity whose map fits the context best, by least squares.
    """
    output = context_out.ravel()
    fits = [_fitted(_bins(context_in[..., channel]).ravel(), output) for channel in range(context_in.shape[-1])]
    channel = int(np.argmax([explained for explained, _ in fits]))
    return fits[channel][1][_bins(target_in[..., channel])]


def _fitted(bins: np.ndarray, output: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean output of each bin, float32 `[_BINS]`, and the sum of squares of the output that they explain."""
    number, total = np.bincount(bins, minlength=_BINS), np.bincount(bins, output, _BINS)
    there = np.flatnonzero(number)
    means = total[there] / number[there]
    return float(total[there] @ means), np.interp(np.arange(_BINS), there, means).astype(np.float32)


def _bins(intensity: np.ndarray) -> np.ndarray:
    """Which bin each intensity is in; beyond 0 and 1 the first and the last."""
    return np.clip((intensity * _BINS).astype(np.int64), 0, _BINS - 1)


def _of_each(function: Callable[..., np.ndarray], episodes: Arrays) -> np.ndarray:
    """The outputs of all episodes of a batch `[B, H, W]`."""
    return np.stack([function(*arrays) for arrays in zip(*(episodes[name] for name in _EPISODE), strict=True)])
