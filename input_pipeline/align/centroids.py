"""Affine alignment of a segmented subject to MNI152: matches the centroids of its structures with `reference.py`.

Only world coordinates are used. The order of a volume's axes has no influence, and left and right cannot be confused.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from input_pipeline.space.protocols import FREESURFER_FOLD
from neuralizer_jax.errors import InputError

# {label: (centroid [3] in mm of world space (RAS), volume in mm3)}
Centroids = Mapping[int, tuple[np.ndarray, float]]

MIN_STRUCTURES = 6  # an affine map has 12 unknowns, each structure gives 3 equations
_MIN_EXTENT_MM = 5.0  # standard deviation of the matched centroids along their flattest direction
_SCALES = (1 / 3, 3.0)  # plausible ratio of the sizes of two heads
_TOLERANCE_MM = 2.0  # normal variation of a centroid between subjects; smaller distances keep their full weight
_SMALL_MM3 = 1000.0  # a structure with this volume has half the weight of a large one


class AffineFit(NamedTuple):
    """An affine map fitted to centroids.

    Attributes:
        matrix: `[4, 4]`, world of the subject (mm, RAS) -> MNI152 (mm, RAS).
        residual_mm: weighted root mean square distance between aligned and reference centroids, mm in MNI152.
        matched: labels used for the fit, without outliers.
    """

    matrix: np.ndarray
    residual_mm: float
    matched: tuple[int, ...]


def label_centroids(labels: np.ndarray, affine: np.ndarray) -> dict[int, tuple[np.ndarray, float]]:
    """Centroid `[3]` in mm and volume in mm3 of every label except 0.

    Args:
        labels: `[X, Y, Z]`, whole numbers of any type.
        affine: `[4, 4]`, voxel -> world in mm (RAS).

    Raises:
        InputError: if `labels` does not have three axes, or holds values that are not whole numbers.
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
    centroids = _move(np.stack(means, axis=-1), affine)
    volumes = counts * abs(np.linalg.det(affine[:3, :3]))
    return dict(zip(present.tolist(), zip(centroids, volumes.tolist(), strict=True), strict=True))


def fold_variants(centroids: Centroids) -> dict[int, tuple[np.ndarray, float]]:
    """Merges parts of structures, as `fold_freesurfer` does: cortical parcels into one cortex per side, and so on."""
    parts: dict[int, list[tuple[np.ndarray, float]]] = {}
    for label, part in centroids.items():
        parts.setdefault(int(FREESURFER_FOLD[label]), []).append(part)
    united = {}
    for label, pieces in sorted(parts.items()):
        volumes = np.array([volume for _, volume in pieces])
        centres = np.array([centre for centre, _ in pieces], np.float64)
        united[label] = (volumes @ centres / volumes.sum(), float(volumes.sum()))
    return united


def fit_affine(moving: Centroids, reference: Centroids) -> AffineFit:
    """Fits the affine map from the centroids of `moving` to those of `reference` by robust weighted least squares.

    Small structures have smaller weights, because a few voxels move their centroids far. Above a few millilitres
    weights are about equal, because the position of large structures varies as much between subjects. Outliers are
    excluded: weights are refined from the residual distances, first as for least absolute distances, then with Tukey's
    biweight at 4.685 robust standard deviations (Holland and Welsch 1977, https://doi.org/10.1080/03610927708827533).
    The map reference -> moving is fitted and then inverted, because the reference has no errors: a distant outlier then
    has no leverage. Final distances are measured in MNI152, so that a subject and its affine copy get the same fit.

    Args:
        moving: centroids and volumes of the subject's structures.
        reference: `REFERENCE_CENTROIDS`.

    Raises:
        InputError: for fewer than `MIN_STRUCTURES` structures, structures that lie nearly in a plane, swapped left and
            right, or an implausible scale.
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
        # 1.538: the median length of a 3-D vector with independent standard normal components.
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
    """The weighted least-squares affine matrix `[4, 4]` between points `[n, 3]`, source -> target."""
    share = weights / weights.sum()
    source_mean, target_mean = share @ source, share @ target
    root = np.sqrt(share)[:, None]
    linear = np.linalg.lstsq(root * (source - source_mean), root * (target - target_mean), rcond=None)[0].T
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, target_mean - linear @ source_mean
    return matrix


def _solve_checked(source: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """As `_solve`. Raises InputError if the points do not determine the matrix, or it is implausible for a head."""
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
    """Distances between the aligned and the reference centroids, mm in MNI152."""
    return np.linalg.norm(_move(target, np.linalg.inv(to_moving)) - source, axis=-1)
