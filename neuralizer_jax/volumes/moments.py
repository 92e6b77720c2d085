"""Place, size and extent of a structure in MNI152, and the map that gives one structure those of another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

# Variance of the places in a voxel of 1 mm, so that a plane has an extent across it too.
_VOXEL = 1 / 12

# How much an example is scaled along any direction at most.
_SCALES = (0.7, 1.4)

# What was found is believed where its volume is so many times that of the examples, and its centre so far from theirs.
_VOLUMES = (0.3, 3.0)
_MOST_MM = 20.0


@dataclass(frozen=True, eq=False)
class Moments:
    """Where a structure lies.

    Attributes:
        centre: `[3]`, mm.
        covariance: `[3, 3]`, mm^2.
        low: `[3]`, the smallest coordinates, mm.
        high: `[3]`, the largest, mm.
        mm3: volume in MNI152, after alignment.
    """

    centre: np.ndarray
    covariance: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mm3: float


def moments(mask: np.ndarray, to_mni: np.ndarray) -> Moments | None:
    """Moments of a mask `[X, Y, Z]`, voxel -> MNI152 in mm by `to_mni`; None if it is empty.

    Example:
        >>> found = moments(np.ones((3, 1, 1), bool), np.diag([2.0, 1, 1, 1]))
        >>> found.centre[0], found.mm3
        (np.float64(2.0), 6.0)
    """
    voxels = np.argwhere(mask)
    if not len(voxels):
        return None
    points = voxels @ to_mni[:3, :3].T + to_mni[:3, 3]
    return Moments(
        points.mean(axis=0),
        np.cov(points.T, bias=True) + _VOXEL * np.eye(3),
        points.min(axis=0),
        points.max(axis=0),
        len(points) * abs(float(np.linalg.det(to_mni[:3, :3]))),
    )


def label_moments(labels: np.ndarray, to_mni: np.ndarray, wanted: tuple[int, ...]) -> dict[int, Moments]:
    """Moments of the labels that occur, of those that are wanted."""
    index = np.searchsorted(wanted, labels)
    index = np.where(np.take(wanted, index, mode="clip") == labels, index + 1, 0)
    found = {}
    for position, place in enumerate(ndimage.find_objects(index)):
        if place is None:
            continue
        shifted = to_mni.copy()
        shifted[:3, 3] += to_mni[:3, :3] @ [part.start for part in place]
        here = moments(index[place] == position + 1, shifted)
        if here is not None:
            found[wanted[position]] = here
    return found


def plausible(found: Moments, examples: Sequence[Moments]) -> bool:
    """Whether what was found has about the volume and the place that the structure has in the examples.

    Example:
        >>> one = moments(np.ones((10, 10, 10), bool), np.eye(4))
        >>> speck = moments(np.ones((2, 2, 2), bool), np.eye(4))
        >>> plausible(one, [one]), plausible(speck, [one])
        (True, False)
    """
    ratio = found.mm3 / np.median([example.mm3 for example in examples])
    distance = np.linalg.norm(found.centre - np.median([example.centre for example in examples], axis=0))
    return bool(_VOLUMES[0] < ratio < _VOLUMES[1] and distance < _MOST_MM)


def realignment(example: Moments, target: Moments) -> np.ndarray:
    """The map `[4, 4]` of MNI152 that gives the example's structure centre, axes and volume of the target's.

    Its linear part gives it the target's covariance, and of all maps that do so moves points least: the optimal
    transport between normal distributions. It is then scaled to the target's volume, for a structure that is fatter has
    the same covariance.

    Example:
        >>> one = moments(np.ones((30, 3, 3), bool), np.eye(4))
        >>> other = moments(np.ones((30, 3, 3), bool), np.diag([1.2, 1, 1, 1]))
        >>> np.diag(realignment(one, other)).round(2).tolist()
        [1.2, 1.0, 1.0, 1.0]
    """
    root = _power(example.covariance, 0.5)
    inverse = _power(example.covariance, -0.5)
    linear = inverse @ _power(root @ target.covariance @ root, 0.5) @ inverse
    linear *= np.cbrt(target.mm3 / example.mm3 / np.linalg.det(linear))
    matrix = np.eye(4)
    matrix[:3, :3] = _power(linear, 1, limits=_SCALES)
    matrix[:3, 3] = target.centre - matrix[:3, :3] @ example.centre
    return matrix


def _power(matrix: np.ndarray, exponent: float, limits: tuple[float, float] = (0, np.inf)) -> np.ndarray:
    """A power of a symmetric matrix `[3, 3]`, with its eigenvalues clipped."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.clip(values**exponent, *limits)) @ vectors.T
