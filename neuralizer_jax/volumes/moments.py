"""Place, size and extent of a structure in MNI152."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from neuralizer_jax.volumes.deformation import Deformation
from neuralizer_jax.volumes.displacement import at_places, moved


@dataclass(frozen=True, eq=False)
class Moments:
    """Where a structure lies.

    Attributes:
        centre: `[3]`, mm.
        length: the diagonal of a box with the same standard deviations, at least 1 mm.
        low: `[3]`, the smallest coordinates, mm.
        high: `[3]`, the largest, mm.
        mm3: volume there.
    """

    centre: np.ndarray
    length: float
    low: np.ndarray
    high: np.ndarray
    mm3: float


def moments(mask: np.ndarray, to_mni: np.ndarray, deformation: Deformation | None = None) -> Moments | None:
    """Moments of a mask `[X, Y, Z]`, voxel -> MNI152 in mm by `to_mni`, in the template; None if it is empty.

    Example:
        >>> found = moments(np.ones((3, 1, 1), bool), np.diag([2.0, 1, 1, 1]))
        >>> found.centre[0], found.mm3
        (np.float64(2.0), 6.0)
    """
    voxels = np.argwhere(mask)
    if not len(voxels):
        return None
    points = voxels @ to_mni[:3, :3].T + to_mni[:3, 3]
    mm3 = len(points) * abs(float(np.linalg.det(to_mni[:3, :3])))
    if deformation is not None:
        mm3 *= float(at_places(deformation.growth, points.T).mean())
        points = moved(points.T, deformation.to_template).T
    return Moments(
        points.mean(axis=0),
        max(1.0, float(np.sqrt(12 * points.var(axis=0).sum()))),
        points.min(axis=0),
        points.max(axis=0),
        mm3,
    )


def label_moments(
    labels: np.ndarray, to_mni: np.ndarray, wanted: tuple[int, ...], deformation: Deformation | None = None
) -> dict[int, Moments]:
    """Moments of the labels that occur, of those that are wanted."""
    index = np.searchsorted(wanted, labels)
    index = np.where(np.take(wanted, index, mode="clip") == labels, index + 1, 0)
    found = {}
    for position, place in enumerate(ndimage.find_objects(index)):
        if place is None:
            continue
        shifted = to_mni.copy()
        shifted[:3, 3] += to_mni[:3, :3] @ [part.start for part in place]
        here = moments(index[place] == position + 1, shifted, deformation)
        if here is not None:
            found[wanted[position]] = here
    return found
