"""Which examples a structure is predicted from: those that resemble the target most where the structure lies."""

from collections.abc import Sequence

import numpy as np

from neuralizer_jax.volumes.aligned import AlignedExample, AlignedScan
from neuralizer_jax.volumes.boxes import Box

# Around a structure, examples are compared with the target so far, mm.
_COMPARED_MM = 10

# Grey values of an image in the joint histogram.
_BINS = 24


def choose(
    target: AlignedScan, examples: Sequence[AlignedExample], label: int, count: int
) -> list[tuple[AlignedExample, float]]:
    """The examples that resemble the target most around the structure, with their similarity, most similar first.

    At least one of them shows the structure.
    """
    showing = [example.moments[label] for example in examples if label in example.moments]
    low = np.floor(np.min([x.low for x in showing], axis=0)).astype(int) - _COMPARED_MM
    high = np.ceil(np.max([x.high for x in showing], axis=0)).astype(int) + _COMPARED_MM
    shape = (high - low + 1).tolist()
    box = Box((int(low[0]), int(low[1]), int(low[2])), (shape[0], shape[1], shape[2]))
    own = target.cut(box)
    like = [similarity(own, example.scan.cut(box)) for example in examples]
    order = np.argsort(-np.array(like), kind="stable").tolist()
    first = next(index for index in order if label in examples[index].moments)
    chosen = sorted({first, *[index for index in order if index != first][: count - 1]}, key=order.index)
    return [(examples[index], like[index]) for index in chosen]


def similarity(target: np.ndarray, example: np.ndarray) -> float:
    """How much two crops tell about each other: normalised mutual information, 0 (nothing) to 1 (all).

    It does not depend on the contrast, so that examples of another modality can be compared.

    Args:
        target: any shape, in [0, 1].
        example: the same shape, in [0, 1].

    Example:
        >>> ramp = np.linspace(0, 1, 1000)
        >>> round(similarity(ramp, 1 - ramp), 1), similarity(ramp, np.zeros(1000))
        (1.0, 0.0)
    """
    steps = [np.minimum((x.ravel() * _BINS).astype(int), _BINS - 1) for x in (target, example)]
    joint = np.bincount(steps[0] * _BINS + steps[1], minlength=_BINS**2).reshape(_BINS, _BINS) / steps[0].size
    own, other, both = (_entropy(x) for x in (joint.sum(axis=1), joint.sum(axis=0), joint))
    return float(2 * (own + other - both) / (own + other)) if own + other > 0 else 0.0


def _entropy(shares: np.ndarray) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum())
