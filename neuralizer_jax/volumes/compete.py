"""Structures compete on the target's grid: each voxel gets the most probable label, or the background."""

import numpy as np
from scipy import ndimage

from neuralizer_jax.volumes.boxes import Box
from neuralizer_jax.volumes.deformation import Deformation
from neuralizer_jax.volumes.displacement import moved

# The outline of a deformed box is known from points so many mm apart.
_APART = 8


def on_grid(
    probability: np.ndarray,
    box: Box,
    to_mni: np.ndarray,
    shape: tuple[int, ...],
    deformation: Deformation | None = None,
) -> tuple[tuple[slice, slice, slice], np.ndarray]:
    """Interpolates a probability on a box of the MNI152 grid to the voxels of a scan.

    Args:
        probability: `[*box.shape]`.
        box: where it lies.
        to_mni: `[4, 4]`, voxel of the scan -> MNI152 in mm.
        shape: of the scan.
        deformation: of the scan; the box then lies in the template.

    Returns:
        The part of the scan that the box reaches, and the probability there.
    """
    to_box = np.linalg.inv(box.affine) @ to_mni
    back = np.linalg.inv(to_mni)
    if deformation is None:
        outline = np.indices((2, 2, 2)).reshape(3, -1) * (np.array(box.shape)[:, None] + 1) - 1
        places = outline + np.array(box.low)[:, None]
    else:  # no plane of the box stays one
        outline = np.indices([length // _APART + 2 for length in box.shape]).reshape(3, -1) * _APART - 1
        places = moved(outline + np.array(box.low, np.float32)[:, None], deformation.to_scan)
    places = back[:3, :3] @ places + back[:3, 3:]
    low = np.clip(np.floor(places.min(axis=1)).astype(int), 0, shape)
    high = np.clip(np.ceil(places.max(axis=1)).astype(int) + 1, low, shape)
    part = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    if (high <= low).any():
        return part, np.zeros(high - low, np.float32)
    values = probability.astype(np.float32)
    if deformation is None:
        return part, ndimage.affine_transform(
            values, to_box[:3, :3], to_box[:3, :3] @ low + to_box[:3, 3], output_shape=tuple(high - low), order=1,
            mode="grid-constant", prefilter=False,
        )  # fmt: skip
    voxels = np.indices(tuple(high - low), np.float32).reshape(3, -1) + low[:, None]
    in_mni = (to_mni[:3, :3] @ voxels + to_mni[:3, 3:]).astype(np.float32)
    in_box = moved(in_mni, deformation.to_template) - np.array(box.low)[:, None]
    found = ndimage.map_coordinates(values, in_box, order=1, mode="grid-constant", prefilter=False)
    return part, found.reshape(tuple(high - low))


class Competition:
    """Label of each voxel of a scan; structures are entered one after another.

    The background has what the structures leave of a probability of 1.

    Example:
        >>> competition = Competition((1, 1, 3))
        >>> everywhere = (slice(None),) * 3
        >>> competition.enter(5, everywhere, np.array([[[0.3, 0.7, 0.4]]]))
        >>> competition.enter(7, everywhere, np.array([[[0.2, 0.2, 0.5]]]))
        >>> competition.labels().tolist()
        [[[0, 5, 7]]]
    """

    def __init__(self, shape: tuple[int, ...]) -> None:  # noqa: D107
        self._best = np.zeros(shape, np.float32)
        self._sum = np.zeros(shape, np.float32)
        self._label = np.zeros(shape, np.int32)

    def enter(self, label: int, part: tuple[slice, slice, slice], probability: np.ndarray) -> None:
        """Enters the probability of a structure in a part of the scan."""
        better = probability > self._best[part]
        self._best[part] = np.where(better, probability, self._best[part])
        self._label[part] = np.where(better, label, self._label[part])
        self._sum[part] += probability

    def labels(self) -> np.ndarray:
        """Int32 `[X, Y, Z]`: 0 where the background is as probable as any structure."""
        return np.where(self._best > np.maximum(1 - self._sum, 0), self._label, 0)
