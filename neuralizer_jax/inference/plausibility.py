"""Notes on a prediction that files and arrays allow but anatomy does not: a target unlike its examples, odd structures.

A network answers for any input. A target that was moved, turned, mirrored or measured with another contrast gives a
wrong answer without a word. Cheap comparisons find most of these cases. Their limits were chosen on T1 slices of 15
real scans (MICCAI 2012 challenge), on which `benchmarks/plausibility.py` counts true and false alarms; its results are
in `benchmarks/results/plausibility.md`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from neuralizer_jax.inference.predict import Prediction

# Images are compared at about this many pixels along the longer side, blurred: 2 mm for a head.
_COARSE = 96
# What is darker than this share of an image's maximum is background.
_BACKGROUND = 0.05

# An image is unlike the others if its correlation with them is less than this share of their own. Single examples have
# nothing to compare with: the limit is the lowest correlation seen between aligned scans, less a margin.
_LIKE = 0.7
_LIKE_ONE_EXAMPLE = 0.45
# Examples that correlate less with each other show nothing in common.
_ALIKE = 0.2

# A target is mirrored if what is asymmetric in it correlates negatively with the examples: by this share of their own
# correlation, which must exceed `_ASYMMETRIC / N`.
_MIRRORED = 0.7
_ASYMMETRIC = 0.8

# A structure is too small below this share of the smallest example's area; examples below so many pixels do not count.
_SMALL = 0.2
_COUNTED = 20
# A structure is misplaced if its centre is further from that of every example than this share of the longer side, and
# than so many times the largest distance from an example to its nearest neighbour.
_FAR = 0.05
_SCATTER = 2

_MOST_NAMED = 5


def plausibility_notes(
    target: np.ndarray,
    context_in: np.ndarray,
    context_out: np.ndarray,
    prediction: "Prediction",
    *,
    names: Sequence[str] | None = None,
    label_names: Mapping[int, str] | None = None,
) -> list[str]:
    """Compares target and predicted structures with the examples.

    Args:
        target: `[H, W]` or `[H, W, C]`, scaled as the context inputs are.
        context_in: `[N, H, W]` or `[N, H, W, C]`.
        context_out: `[N, H, W]`: images or label maps.
        prediction: the result of `predict` for these arrays.
        names: how notes call the target and the N context inputs; None: `target`, `context_in[0]`, ...
        label_names: how notes call labels; their number otherwise.

    Returns:
        One line for each doubt; none for most predictions from aligned examples.

    Example:
        >>> from neuralizer_jax.inference.predict import Prediction
        >>> rows, columns = np.indices((64, 64))
        >>> discs = [(rows - 30 - i) ** 2 + (columns - 30) ** 2 < 100 for i in range(3)]
        >>> images = [disc * (0.5 + 0.01 * columns) for disc in discs]
        >>> empty = Prediction(images[0], images[0], np.zeros((64, 64), int), (1,))
        >>> plausibility_notes(images[0], np.stack(images[1:]), np.stack(discs[1:]), empty)
        ['target: label 1 has 0 pixels, at least 305 in every example']
    """
    names = names or ["target", *(f"context_in[{index}]" for index in range(len(context_in)))]
    notes = _unlike(np.concatenate([target[None], context_in]), names)
    if prediction.labels is not None:
        found = _odd_structures(prediction.labels, prediction.label_values, context_out, label_names or {})
        if found:
            more = f"; {len(found) - _MOST_NAMED} more labels" if len(found) > _MOST_NAMED else ""
            notes.append(f"{names[0]}: {'; '.join(found[:_MOST_NAMED])}{more}")
    return notes


def _unlike(images: np.ndarray, names: Sequence[str]) -> list[str]:
    """Notes on images `[1 + N, H, W]`, target first, that the examples do not resemble."""
    coarse = np.stack([_coarse(image) for image in images])
    seen = (coarse > _BACKGROUND * coarse.max(axis=(1, 2, 3), keepdims=True)).astype(np.float64)
    likeness, asymmetry = _likeness(coarse, seen), _asymmetry(coarse, seen)
    usual = float(np.median(likeness[1:])) if len(images) > 2 else _LIKE_ONE_EXAMPLE / _LIKE
    usual_asymmetry = float(np.median(asymmetry[1:])) if len(images) > 2 else 1.0
    notes = [
        f"{name}: resembles the examples little (correlation {like:.2f}, usual {usual:.2f}), expected the contrast, "
        "plane and position of the examples"
        for name, like in zip(names, likeness, strict=True)
        if usual > _ALIKE and like < _LIKE * usual
    ]
    clear = usual_asymmetry > _ASYMMETRIC / (len(images) - 1)
    if not notes and clear and asymmetry[0] < -_MIRRORED * usual_asymmetry:
        notes.append(
            f"{names[0]}: may be mirrored (correlation of its asymmetry {asymmetry[0]:.2f}, usual "
            f"{usual_asymmetry:.2f}), expected the sides of the examples"
        )
    return notes


def _coarse(image: np.ndarray) -> np.ndarray:
    """An image `[h, w, C]` of about `_COARSE` pixels, blurred, in float64."""
    from scipy import ndimage

    image = np.asarray(image, np.float64).reshape(*image.shape[:2], -1)
    step = max(1, round(max(image.shape[:2]) / _COARSE))
    height, width = (n // step for n in image.shape[:2])
    blocks = image[: height * step, : width * step].reshape(height, step, width, step, -1)
    return ndimage.gaussian_filter(blocks.mean(axis=(1, 3)), sigma=(1, 1, 0))


def _likeness(images: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """For each image the median correlation with the examples (`images[1:]`) but itself, over what both show."""
    x, m = images.reshape(len(images), -1), seen.reshape(len(images), -1)
    inside = x * m
    count = np.maximum(m @ m.T, 1)
    mean, square = inside @ m.T / count, (inside * x) @ m.T / count
    variance = square - mean**2
    covariance = inside @ inside.T / count - mean * mean.T
    correlation = _ratio(covariance, np.sqrt(np.maximum(variance * variance.T, 0)))
    others = [np.delete(row[1:], index - 1) if index else row[1:] for index, row in enumerate(correlation)]
    return np.array([np.median(row) if row.size else 1.0 for row in others])


def _asymmetry(images: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """For each image the correlation of its odd part along the columns with that of the mean of the other examples."""
    odd = images - images[:, :, ::-1]
    both = seen * seen[:, :, ::-1]
    total, found = odd[1:].sum(axis=0), []
    for index, (own, mask) in enumerate(zip(odd, both, strict=True)):
        rest = mask * (total - own if index else total)
        found.append(_ratio((own * rest).sum(), np.sqrt((mask * own**2).sum() * (rest**2).sum())))
    return np.array(found)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 1e-12)


def _odd_structures(
    labels: np.ndarray, values: Sequence[int], context_out: np.ndarray, names: Mapping[int, str]
) -> list[str]:
    """What is odd about the labels that every example shows."""
    reach = _FAR * max(labels.shape)
    areas, centres = zip(*(_areas_and_centres(image, values) for image in (labels, *context_out)), strict=True)
    found = []
    for index, value in enumerate(values):
        area, *example_areas = (int(own[index]) for own in areas)
        centre, *rest = (own[index] for own in centres)
        example_centres, name = np.array(rest), names.get(value, f"label {value}")
        if min(example_areas) < _COUNTED:
            continue
        if area < _SMALL * min(example_areas):
            found.append(f"{name} has {area} pixels, at least {min(example_areas)} in every example")
            continue
        apart = np.linalg.norm(example_centres[:, None] - example_centres, axis=-1)
        np.fill_diagonal(apart, np.inf)
        scatter = apart.min(axis=1).max() if len(apart) > 1 else 0
        distance = np.linalg.norm(example_centres - centre, axis=1).min()
        if distance > max(reach, _SCATTER * scatter):
            found.append(f"{name} lies {distance:.0f} pixels from where any example shows it")
    return found


def _areas_and_centres(image: np.ndarray, values: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Number of pixels `[L]` and centre `[L, 2]` of each of L labels in ascending order."""
    rows, columns = np.nonzero(image)
    shown = image[rows, columns]
    index = np.searchsorted(values, shown)
    wanted = np.take(values, index, mode="clip") == shown
    index, rows, columns = index[wanted], rows[wanted], columns[wanted]
    areas = np.bincount(index, minlength=len(values))
    sums = [np.bincount(index, places, minlength=len(values)) for places in (rows, columns)]
    return areas, np.stack(sums, axis=-1) / np.maximum(areas, 1)[:, None]
