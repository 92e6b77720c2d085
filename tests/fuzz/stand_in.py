"""A predictor in place of the network: fast, and its answer follows position and intensity of every pixel.

The network forgives small faults of its input. This one does not: a wrong scale, a flip or another plane change its
labels, and a right copy of the same picture does not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np

from neuralizer_jax.inference.predict import Prediction
from neuralizer_jax.model import Neuralizer
from neuralizer_jax.weights import load_weights
from neuralizer_jax.weights.pretrained import DEFAULT, weights_path

_REACH = 1  # pixels
_CONTRAST = 0.06  # of the full range [0, 1]


def predict(model, params, target, context_in, context_out, *, task, label_values=None, **_) -> Prediction:
    """Each pixel takes the label, or the mean, of the context's pixels around its place that look like it."""
    found = set(np.unique(context_out).tolist()) - {0}
    labels = tuple(sorted(found if label_values is None else found & set(label_values)))
    if task == "image":
        labels = (1,)  # one channel, whose values are weighted
    target, context_in = (x.mean(-1) if x.ndim == n else x for x, n in ((target, 3), (context_in, 4)))
    classes = np.array((0, *labels))
    masks = (context_out[None] == classes[1:, None, None, None]).astype(np.float32)
    masks = np.concatenate([1 - masks.sum(0, keepdims=True), masks])
    if task == "image":
        masks = np.stack([np.ones_like(context_out), context_out]).astype(np.float32)
    score = np.full((len(classes), *target.shape), 1e-9, np.float32)
    for rows in range(-_REACH, _REACH + 1):
        for columns in range(-_REACH, _REACH + 1):
            shift, axes = (rows, columns), (-2, -1)
            alike = np.exp(-(((target - np.roll(context_in, shift, axes)) / _CONTRAST) ** 2))
            score += np.einsum("nhw,lnhw->lhw", alike / (1 + rows**2 + columns**2), np.roll(masks, shift, axes))
    if task == "image":
        return Prediction(score[1] / score[0], np.zeros_like(target))
    mean = (score / score.sum(0))[1:]
    answer = classes[score.argmax(0)].astype(np.int32)
    return Prediction(mean[0] if len(labels) == 1 else mean, np.zeros_like(mean), answer, labels)


@contextmanager
def in_place() -> Iterator[None]:
    """Puts the predictor in place of the network, whose own weights are then not read; other weights are."""

    def load(path: Path):
        return (Neuralizer(features=4, stages=2), {}) if path == weights_path(DEFAULT) else load_weights(path)

    with patch("neuralizer_jax.inference.predict.predict", predict), patch("neuralizer_jax.weights.load_weights", load):
        yield
