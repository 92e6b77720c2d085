"""Which examples a structure is predicted from: those that resemble the target most where the structure lies."""

import numpy as np

# Grey values of an image in the joint histogram.
_BINS = 24


def similarity(target: np.ndarray, example: np.ndarray) -> float:
    """How much two crops tell about each other: normalised mutual information, 0 (nothing) to 1 (all).

    It does not depend on the contrast, so that examples of another modality can be compared.

    Args:
        target: any shape, in [0, 1].
        example: the same shape, in [0, 1].

    Example:
        >>> ramp = np.linspace(0, 1, 1000)
        >>> round(similarity(ramp, 1 - ramp), 3), round(similarity(ramp, np.zeros(1000)), 3)
        (1.0, 0.0)
    """
    steps = [np.minimum((x.ravel() * _BINS).astype(int), _BINS - 1) for x in (target, example)]
    joint = np.bincount(steps[0] * _BINS + steps[1], minlength=_BINS**2).reshape(_BINS, _BINS) / steps[0].size
    own, other, both = (_entropy(x) for x in (joint.sum(axis=1), joint.sum(axis=0), joint))
    return float(2 * (own + other - both) / (own + other)) if own + other > 0 else 0.0


def _entropy(shares: np.ndarray) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum())
