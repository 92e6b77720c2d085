"""What can be seen of a predicted structure without the truth: planes, probabilities, place, volume, likeness."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from neuralizer_jax.model import Neuralizer
from neuralizer_jax.volumes.aligned import AlignedExample, AlignedScan
from neuralizer_jax.volumes.boxes import Box
from neuralizer_jax.volumes.choose import similarity
from neuralizer_jax.volumes.moments import Moments, moments
from neuralizer_jax.volumes.reverse_check import mask_dice, reverse_check
from neuralizer_jax.volumes.structure import StructurePrediction

# Images are compared so far around the examples' structure, mm.
_COMPARED_MM = 10
# Correlation and normalised mutual information of aligned scans, for a single example has none to be compared with.
_USUAL = (0.7, 0.09)
# The least that they are compared with.
_LEAST = (0.2, 0.02)
# Examples of whole scans show a head where they are brighter than this.
_SIGNAL = 0.1
# Smaller probabilities are the background's.
_POSSIBLE = 0.1


@dataclass(frozen=True)
class Evidence:
    """Signs of a good prediction, each from 0 (bad) to 1 (good).

    Attributes:
        planes: mean Dice between the predictions of two planes; with one plane, `certainty`.
        vote: Dice between the network's prediction and the vote of the examples' labels.
        certainty: Dice of the structure with its own probabilities: low if many voxels are undecided.
        reverse: Dice of examples that are predicted from the target, see `reverse_check`.
        likeness: correlation of target and examples around the structure, as a share of that among the examples.
        information: the same of their mutual information, which does not depend on the contrast.
        volume: 1 if it differs from that of the examples as these do among each other, 1/2 at twice or half of that.
        place: 1 if the centre is where the examples have theirs, 0 if it is further away by the structure's length.
    """

    planes: float
    vote: float
    certainty: float
    reverse: float
    likeness: float
    information: float
    volume: float
    place: float


def gather(
    model: Neuralizer,
    params: dict[str, Any],
    target: AlignedScan,
    examples: Sequence[AlignedExample],
    prediction: StructurePrediction,
) -> Evidence:
    """Collects the signs for a structure that was predicted from these examples, most similar first."""
    shown = [example for example in examples if prediction.label in example.moments]
    places = [example.moments[prediction.label] for example in shown]
    like = _likeness(target, shown, places)
    probability = prediction.probability
    mask = probability > 0.5
    own = moments(mask, prediction.box.affine)
    if own is None:
        return Evidence(0.0, 0.0, 0.0, 0.0, *like, 0.0, 0.0)
    possible = probability[probability > _POSSIBLE]
    certainty = float(2 * probability[mask].sum() / (mask.sum() + possible.sum()))
    found = prediction.planes > 0.5
    pairs = [mask_dice(one, other) for one, other in combinations(found, 2)]
    centres, volumes = np.stack([place.centre for place in places]), np.log([place.mm3 for place in places])
    from_mean = np.linalg.norm(centres - centres.mean(axis=0), axis=1)
    away = np.linalg.norm(own.centre - centres.mean(axis=0)) - from_mean.mean()
    length = np.mean([place.length for place in places])
    odd_volume = abs(np.log(own.mm3) - volumes.mean()) - volumes.std()
    return Evidence(
        planes=float(np.mean(pairs)) if pairs else certainty,
        vote=mask_dice(prediction.planes.mean(axis=0, dtype=np.float32) > 0.5, prediction.vote > 0.5),
        certainty=certainty,
        reverse=reverse_check(model, params, target, shown, prediction),
        likeness=like[0],
        information=like[1],
        volume=float(np.exp(-max(0.0, odd_volume))),
        place=float(np.clip(1 - away / length, 0, 1)),
    )


def _likeness(
    target: AlignedScan, examples: Sequence[AlignedExample], places: Sequence[Moments]
) -> tuple[float, float]:
    """Correlation and mutual information of target and examples, as a share of those among the examples.

    They are compared where the target has voxels.
    """
    low = np.floor(np.min([place.low for place in places], axis=0)).astype(int) - _COMPARED_MM
    high = np.ceil(np.max([place.high for place in places], axis=0)).astype(int) + _COMPARED_MM
    shape = (high - low + 1).tolist()
    box = Box((int(low[0]), int(low[1]), int(low[2])), (shape[0], shape[1], shape[2]))
    seen = target.seen(box) > 0.5
    if not seen.any():
        return 0.0, 0.0
    own, *others = (x.cut(box)[seen] for x in (target, *(example.scan for example in examples)))
    return _shares(own, others)


def field_likeness(target: np.ndarray, images: np.ndarray) -> float:
    """How much a whole scan resembles examples as a share of how these resemble each other, 0 to 1.

    The lower one of correlation and mutual information, where the examples show heads.

    Args:
        target: `[X, Y, Z]` in [0, 1].
        images: `[N, X, Y, Z]` in [0, 1], the examples.

    Example:
        >>> heads = np.random.default_rng(0).random((2, 9, 9, 9)) / 5 + np.linspace(0, 0.8, 9)
        >>> field_likeness(heads[0], heads), field_likeness(1 - heads[0], heads)
        (1.0, 0.0)
    """
    shown = images.mean(axis=0) > _SIGNAL
    return min(_shares(target[shown], [image[shown] for image in images]))


def _shares(own: np.ndarray, others: Sequence[np.ndarray]) -> tuple[float, float]:
    """Correlation and mutual information of an image and others, as a share of those among the others."""
    found = []
    for compare, usual, least in zip((_correlation, similarity), _USUAL, _LEAST, strict=True):
        among = [compare(one, other) for one, other in combinations(others, 2)]
        expected = max(float(np.mean(among)) if among else usual, least)
        found.append(float(np.clip(np.mean([compare(own, other) for other in others]) / expected, 0, 1)))
    return found[0], found[1]


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float((one * other).sum()) / scale if scale > 0 else 0.0
