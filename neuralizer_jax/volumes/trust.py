"""When not to trust a structure: the Dice that its evidence lets expect.

A logistic regression on the logits of the evidence, none of its coefficients negative. `benchmarks/trust.py` fits them.
"""

from dataclasses import asdict

import numpy as np

from input_pipeline.space.grid import WHOLE_HEAD_MM
from neuralizer_jax.volumes.alignment import Alignment
from neuralizer_jax.volumes.background import is_skull_stripped
from neuralizer_jax.volumes.evidence import Evidence
from neuralizer_jax.volumes.scan import Scan
from neuralizer_jax.volumes.trust_coefficients import COEFFICIENTS, INTERCEPT

# The logits of evidence beyond these limits are those of the limits.
_LIMITS = (0.02, 0.98)

# The brain of the MNI152 template has so many litres, and brains at any age but a newborn's have these.
_TEMPLATE_LITRES, _LITRES = 1.88, (0.7, 2.3)

# A target is unlike its examples below this likeness.
LEAST_LIKENESS = 0.5


def expected_dice(evidence: Evidence) -> float:
    """The Dice that a structure with this evidence has on average; 0 if no voxel was predicted.

    Example:
        >>> good, bad = (Evidence(*[value] * 8) for value in (0.97, 0.5))
        >>> expected_dice(good) > 0.8, expected_dice(bad) < 0.4
        (True, True)
    """
    if evidence.certainty == 0:
        return 0.0
    total = INTERCEPT + sum(COEFFICIENTS[name] * logit(value) for name, value in asdict(evidence).items())
    return float(1 / (1 + np.exp(-total)))


def logit(value: float) -> float:
    """The logit of evidence, within limits.

    Example:
        >>> logit(0.5), logit(1) == logit(0.98)
        (0.0, True)
    """
    inside = min(max(value, _LIMITS[0]), _LIMITS[1])
    return float(np.log(inside / (1 - inside)))


def size_warnings(alignment: Alignment) -> tuple[str, ...]:
    """That an aligned scan has another size than heads have: volumes in mm^3 are wrong if its header is.

    Example:
        >>> size_warnings(Alignment(np.diag([2, 2, 2, 1]), 0.7))
        ('its brain has about 0.2 litres, expected 0.7 to 2.3: is the voxel size in its header right?',)
    """
    litres = _TEMPLATE_LITRES / abs(float(np.linalg.det(alignment.to_mni[:3, :3])))
    if _LITRES[0] < litres < _LITRES[1]:
        return ()
    expected = " to ".join(map(str, _LITRES))
    return (f"its brain has about {litres:.1f} litres, expected {expected}: is the voxel size in its header right?",)


def coverage_warnings(scan: Scan) -> tuple[str, ...]:
    """That a scan shows a slab of a head with its skull, which is not always aligned well. A slab of a brain is.

    Example:
        >>> coverage_warnings(Scan(np.arange(8000).reshape(20, 20, 20), np.diag([10, 10, 3, 1])))
        ('shows 60 mm of a head along one axis: look whether the result is aligned to it',)
    """
    lengths = np.array(scan.values.shape) * np.linalg.norm(scan.affine[:3, :3], axis=0)
    if lengths.min() >= WHOLE_HEAD_MM or is_skull_stripped(scan.values, scan.affine):
        return ()
    return (f"shows {lengths.min():.0f} mm of a head along one axis: look whether the result is aligned to it",)


def scan_warnings(scan: Scan, alignment: Alignment, likeness: float | None) -> tuple[str, ...]:
    """What is odd about a scan as a whole. An alignment that was given is not judged.

    Args:
        scan: the scan.
        alignment: of it to MNI152.
        likeness: of the scan and the examples, as a share of how these resemble each other; None: not known.

    Example:
        >>> scan = Scan(np.arange(60).reshape(3, 4, 5), np.eye(4))
        >>> scan_warnings(scan, Alignment(np.eye(4)), 0.9), len(scan_warnings(scan, Alignment(np.eye(4)), 0.2))
        ((), 1)
    """
    odd: tuple[str, ...] = ()
    if alignment.mutual_information is not None:
        odd = (*size_warnings(alignment), *coverage_warnings(scan))
    if likeness is None or likeness >= LEAST_LIKENESS:
        return odd
    return (
        *odd,
        f"resembles the examples little ({likeness:.2f} of how much these resemble each other), expected their"
        " contrast, and a head that can be aligned",
    )
