"""When not to trust a structure: the Dice that its evidence lets expect."""

from dataclasses import asdict

import numpy as np

from neuralizer_jax.volumes.evidence import Evidence

# Logistic regression on the logits of the evidence, no coefficient negative, which `benchmarks/trust.py`
# makes from synthesised scans of label maps, good and bad.
_INTERCEPT = -2.13
_COEFFICIENTS = {
    "planes": 0.20, "vote": 0.19, "certainty": 0.19, "reverse": 0.16, "likeness": 0.07, "information": 0.22,
    "volume": 0.11, "place": 0.18,
}  # fmt: skip

# The logits of evidence beyond these limits are those of the limits.
_LIMITS = (0.02, 0.98)

# A structure is to be looked at below this expected Dice, a target and its examples below this likeness.
LEAST_DICE, LEAST_LIKENESS = 0.6, 0.5


def expected_dice(evidence: Evidence) -> float:
    """The Dice that a structure with this evidence has on average; 0 if no voxel was predicted.

    Example:
        >>> good, bad = (Evidence(*[value] * 8) for value in (0.97, 0.5))
        >>> expected_dice(good) > 0.8, expected_dice(bad) < 0.4
        (True, True)
    """
    if evidence.certainty == 0:
        return 0.0
    total = _INTERCEPT + sum(_COEFFICIENTS[name] * logit(value) for name, value in asdict(evidence).items())
    return float(1 / (1 + np.exp(-total)))


def logit(value: float) -> float:
    """The logit of evidence, within limits.

    Example:
        >>> logit(0.5), logit(1) == logit(0.98)
        (0.0, True)
    """
    inside = min(max(value, _LIMITS[0]), _LIMITS[1])
    return float(np.log(inside / (1 - inside)))
