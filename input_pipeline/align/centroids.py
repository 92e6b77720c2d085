"""Affine alignment of a segmented subject to MNI152: its structures' centroids on those of `reference.py`.

Only world coordinates enter, so how a volume's axes are stored has no influence, and left is never taken for right.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neuralizer_jax.errors import InputError

# {label: (centroid [3] in mm of world space (RAS), volume in mm3)}
Centroids = Mapping[int, tuple[np.ndarray, float]]

MIN_STRUCTURES = 6  # an affine map has 12 unknowns, a structure gives 3 equations
_MIN_EXTENT_MM = 5.0  # standard deviation of the matched centroids along their flattest direction
_SCALES = (1 / 3, 3.0)  # what a head's size can be of another's
_TOLERANCE_MM = 2.0  # how far a structure's centroid strays between healthy subjects: no reason to trust it less
_SMALL_MM3 = 1000.0  # a structure of this volume has half the weight of a large one

# FreeSurfer and SynthSeg numbers that are a part, or another name, of a structure of the table. As SynthSeg folds them;
# choroid plexus is a part of the lateral ventricle.
_FOLDED = {25: 2, 57: 41, 136: 4, 137: 5, 163: 43, 164: 44, 31: 4, 63: 43, 9: 10, 48: 49, 19: 3, 55: 42, 20: 3, 56: 42}


@dataclass(frozen=True)
class AffineFit:
    """An affine map found from centroids.

    Attributes:
        matrix: `[4, 4]`, world of the subject (mm, RAS) -> world of MNI152 (mm, RAS).
        residual_mm: weighted root mean square distance of the matched centroids to the reference's, in MNI152 mm.
        matched: labels the map rests on, wrong structures left out.
    """

    matrix: np.ndarray
    residual_mm: float
    matched: tuple[int, ...]


def label_centroids(labels: np.ndarray, affine: np.ndarray) -> dict[int, tuple[np.ndarray, float]]:
    """Centroid `[3]` in mm and volume in mm3 of every label but 0.

    Args:
        labels: `[X, Y, Z]`, whole numbers of any type.
        affine: `[4, 4]`, voxel -> world in mm (RAS).
    """
    labels, affine = np.asarray(labels), np.asarray(affine, np.float64)
    if labels.ndim != 3:
        raise InputError(f"label map of shape {labels.shape}, expected three axes")
    flat = labels.reshape(-1)
    inside = np.flatnonzero(flat)
    values = flat[inside]
    if not np.issubdtype(values.dtype, np.integer):
        whole = values.astype(np.int64) if np.isfinite(values).all() else None
        if whole is None or not np.array_equal(whole, values):
            raise InputError("label map holds fractions, infinities or NaN, expected whole numbers")
        values = whole
    present = np.unique(values)
    rank = np.searchsorted(present, values)
    counts = np.bincount(rank, minlength=len(present))
    means = [np.bincount(rank, axis, len(present)) / counts for axis in np.unravel_index(inside, labels.shape)]
    centroids = np.stack(means, axis=-1) @ affine[:3, :3].T + affine[:3, 3]
    volumes = counts * abs(np.linalg.det(affine[:3, :3]))
    return {
        int(label): (centroid, float(volume))
        for label, centroid, volume in zip(present, centroids, volumes, strict=True)
    }


def fold_variants(centroids: Centroids) -> dict[int, tuple[np.ndarray, float]]:
    """The same with parts united: cortical parcels (FreeSurfer 1000s, 2000s, 11100s, 12100s) to 3 and 42, and so on."""
    parts: dict[int, list[tuple[np.ndarray, float]]] = {}
    for label, part in centroids.items():
        left = 1000 <= label < 2000 or 11100 <= label < 11200
        right = 2000 <= label < 3000 or 12100 <= label < 12200
        whole = 3 if left else 42 if right else _FOLDED.get(label, label)
        parts.setdefault(whole, []).append(part)
    united = {}
    for label, pieces in sorted(parts.items()):
        volumes = np.array([volume for _, volume in pieces])
        centres = np.array([centre for centre, _ in pieces], np.float64)
        united[label] = (volumes @ centres / volumes.sum(), float(volumes.sum()))
    return united


def fit_affine(moving: Centroids, reference: Centroids) -> AffineFit:
    """The affine map that takes the centroids of `moving` to those of `reference`, by weighted least squares.

    Small structures weigh less, as few voxels move their centroids far; from some millilitres on all weigh about the
    same, as where a structure lies differs between subjects whatever its size. Wrong structures are left out: the
    weights are refined by the distances that remain, first as for least absolute distances, then with Tukey's biweight
    at 4.685 robust standard deviations (Holland and Welsch 1977, https://doi.org/10.1080/03610927708827533). The fit
    runs reference -> moving and is inverted, as the reference is what has no error: however far away a wrong structure
    is, it cannot pull the map towards itself as a lever. In the end distances are in MNI152 mm, so that a subject and
    its affine copy get the same fit.

    Raises:
        InputError: with fewer than `MIN_STRUCTURES` structures, structures in (nearly) a plane, left and right
            swapped, or a scale that no head has.
    """
    moving = fold_variants(moving)
    labels = np.array(sorted(moving.keys() & reference.keys()), int)
    _check_count(len(labels))
    source = np.array([reference[label][0] for label in labels], np.float64)
    target = np.array([moving[label][0] for label in labels], np.float64)
    volumes = np.array([reference[label][1] for label in labels], np.float64)
    base = volumes / (volumes + _SMALL_MM3)

    weights = base
    for _ in range(50):
        matrix = _solve(source, target, weights)
        weights = base / np.maximum(np.linalg.norm(_move(source, matrix) - target, axis=-1), _TOLERANCE_MM)
    for _ in range(50):
        distance = _distances(_solve_checked(source, target, weights), source, target)
        # 1.538: the median distance of points scattered with standard deviation 1 along each axis.
        cut = 4.685 * max(_TOLERANCE_MM, float(np.median(distance)) / 1.538)
        weights = base * np.clip(1 - (distance / cut) ** 2, 0, None) ** 2
        _check_count(int(np.count_nonzero(weights)))
    to_moving = _solve_checked(source, target, weights)
    distance = _distances(to_moving, source, target)
    return AffineFit(
        np.linalg.inv(to_moving),
        float(np.sqrt(np.average(distance**2, weights=weights))),
        tuple(int(label) for label in labels[weights > 0]),
    )


def _check_count(count: int) -> None:
    if count < MIN_STRUCTURES:
        raise InputError(f"{count} structures can be matched with the reference, expected at least {MIN_STRUCTURES}")


def _solve(source: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Affine matrix `[4, 4]` source -> target of least weighted squares, of points `[n, 3]`."""
    share = weights / weights.sum()
    source_mean, target_mean = share @ source, share @ target
    root = np.sqrt(share)[:, None]
    linear = np.linalg.lstsq(root * (source - source_mean), root * (target - target_mean), rcond=None)[0].T
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, target_mean - linear @ source_mean
    return matrix


def _solve_checked(source: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """As `_solve`; raises InputError where the points do not determine the matrix, or it is none of a head."""
    covariance = np.cov(source, rowvar=False, aweights=weights, ddof=0)
    if np.linalg.eigvalsh(covariance)[0] < _MIN_EXTENT_MM**2:
        raise InputError("the matched structures lie nearly in a plane, expected structures all over the brain")
    matrix = _solve(source, target, weights)
    scales = np.linalg.svd(matrix[:3, :3], compute_uv=False)
    if not _SCALES[0] < scales[-1] <= scales[0] < _SCALES[1]:
        raise InputError(
            f"the structures fit the reference at scales of {scales[-1]:.2g} to {scales[0]:.2g},"
            f" expected {_SCALES[0]:.2g} to {_SCALES[1]:.2g}"
        )
    if np.linalg.det(matrix[:3, :3]) < 0:
        raise InputError("the structures mirror the reference: left and right are swapped in the labels or the header")
    return matrix


def _move(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _distances(to_moving: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Distances in MNI152 mm between the reference and the centroids brought there."""
    return np.linalg.norm(_move(target, np.linalg.inv(to_moving)) - source, axis=-1)
