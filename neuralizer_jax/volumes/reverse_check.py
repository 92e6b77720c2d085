"""Predicts examples from the target's prediction: where that fails, the prediction is wrong.

Reverse classification accuracy: Valindria et al. 2017, https://arxiv.org/abs/1702.03407.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from neuralizer_jax.model import Neuralizer
from neuralizer_jax.volumes.aligned import AlignedExample, AlignedScan
from neuralizer_jax.volumes.boxes import box_around, cut
from neuralizer_jax.volumes.moments import moments
from neuralizer_jax.volumes.slice_predictions import predict_planes
from neuralizer_jax.volumes.structure import EVERY, MARGIN_MM, StructurePrediction

# So many examples are predicted, in one plane: about a tenth of the work of a prediction from eight.
_EXAMPLES, _PLANE = 3, "coronal"


def reverse_check(
    model: Neuralizer,
    params: dict[str, Any],
    target: AlignedScan,
    examples: Sequence[AlignedExample],
    prediction: StructurePrediction,
) -> float:
    """How well a predicted structure, as the only example, predicts the structure of examples whose truth is known.

    Args:
        model: the network.
        params: its parameters.
        target: the scan.
        examples: that show the structure, most similar first; the first few are predicted.
        prediction: the structure in the target.

    Returns:
        The mean Dice of these examples, 0 to 1; 0 if no voxel was predicted.
    """
    mask = prediction.probability > 0.5
    own = moments(mask, prediction.box.affine)
    if own is None:
        return 0.0
    chosen = examples[:_EXAMPLES]
    places = [own, *(example.moments[prediction.label] for example in chosen)]
    low = np.floor(np.min([place.low for place in places], axis=0))
    high = np.ceil(np.max([place.high for place in places], axis=0))
    crop = box_around(low, high, MARGIN_MM)
    x, y, z = (slice(int(a), int(b) + 1) for a, b in zip(low - crop.low, high - crop.low, strict=True))
    inside = x, y, z
    only = target.cut(crop)[None]
    annotated = cut(mask, prediction.box.affine, crop, label=1)[None]
    found = []
    for example in chosen:
        image = example.scan.cut(crop)
        truth = example.mask(prediction.label, crop)
        predicted = predict_planes(model, params, image, only, annotated, inside, (_PLANE,), EVERY)[0] > 0.5
        found.append(mask_dice(predicted, truth[inside] > 0))
    return float(np.mean(found))


def mask_dice(one: np.ndarray, other: np.ndarray) -> float:
    """Dice of two masks of the same shape; 0 if both are empty, as nothing was found.

    Example:
        >>> mask_dice(np.array([True, True, False]), np.array([True, False, False]))
        0.6666666666666666
    """
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return float(2 * np.count_nonzero(one & other) / total) if total else 0.0
