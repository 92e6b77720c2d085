"""Scores of a label map of a whole scan: Dice, surface distance and volume error of each structure, and of its ends."""

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from neuralizer_jax.evaluation.case_scores import hd95
from neuralizer_jax.evaluation.scores import TENTHS

VOLUME_METRICS = ("dice", "hd95", "volume_error", "volume_bias", "true_mm3", *TENTHS)


def volume_scores(
    found: np.ndarray, truth: np.ndarray, labels: Iterable[int], *, affine: np.ndarray, to_mni: np.ndarray
) -> dict[int, dict[str, float]]:
    """The scores of each structure.

    Args:
        found: `[X, Y, Z]`, the predicted labels.
        truth: `[X, Y, Z]`, the true labels.
        labels: structures to score; the truth shows all of them.
        affine: `[4, 4]`, voxel -> world in mm.
        to_mni: `[4, 4]`, voxel -> MNI152 in mm.

    Returns:
        For each label `VOLUME_METRICS`: `dice` in [0, 1]; `hd95` in mm, NaN if nothing was found; `volume_error` and
        `volume_bias`, found minus true volume in percent of the true one, without and with its sign; `true_mm3`, the
        true volume; `dice_y1` to `dice_y10`, Dice in each tenth of the true structure's length along y of MNI152, from
        posterior to anterior, NaN if neither has a voxel there. What was found beyond an end counts in the last tenth.

    Raises:
        ValueError: the truth does not show a structure.

    Example:
        >>> truth = np.zeros((4, 12, 4), np.int32)
        >>> truth[1:3, 1:11, 1:3] = 17
        >>> found = np.where(np.arange(12)[:, None] < 9, truth, 0)  # the front is missing
        >>> scores = volume_scores(found, truth, [17], affine=np.eye(4), to_mni=np.eye(4))[17]
        >>> [round(scores[name], 2) for name in ("dice", "hd95", "volume_bias", "dice_y8", "dice_y9")]
        [0.89, 2.0, -20.0, 1.0, 0.0]
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    voxel_mm3 = abs(float(np.linalg.det(affine[:3, :3])))
    scores = {}
    for label in labels:
        mask, true = found == label, truth == label
        box = ndimage.find_objects((mask | true).view(np.uint8))
        if not box or not true[box[0]].any():
            raise ValueError(f"label {label} is not in the truth, expected labels that are")
        here = to_mni.copy()
        here[:3, 3] += to_mni[:3, :3] @ [part.start for part in box[0]]
        mask, true = mask[box[0]], true[box[0]]
        voxels = int(true.sum())
        bias = 100 * (int(mask.sum()) - voxels) / voxels
        scores[label] = {
            "dice": _dice(mask, true), "hd95": hd95(mask, true, spacing), "volume_error": abs(bias),
            "volume_bias": bias, "true_mm3": voxels * voxel_mm3, **_along_y(mask, true, here),
        }  # fmt: skip
    return scores


def _along_y(mask: np.ndarray, truth: np.ndarray, to_mni: np.ndarray) -> dict[str, float]:
    """Dice in each tenth of the truth's length along y."""
    x, y, z = np.ogrid[tuple(slice(n) for n in truth.shape)]
    along = to_mni[1, 0] * x + to_mni[1, 1] * y + to_mni[1, 2] * z
    low, high = along[truth].min(), along[truth].max()
    tenth = np.clip(np.floor(10 * (along - low) / max(high - low, 1e-6)), 0, 9)
    return {name: _dice(mask & (tenth == place), truth & (tenth == place)) for place, name in enumerate(TENTHS)}


def _dice(mask: np.ndarray, truth: np.ndarray) -> float:
    both = int(mask.sum()) + int(truth.sum())
    return 2 * int((mask & truth).sum()) / both if both else float("nan")
