"""The phantom: a label map of a whole head, made from the MNI152 template that nilearn ships. It is symmetric.

Around the brain (`phantom_brain`) lie CSF, skull with its base, jaw, sinus, carotids, soft tissue and scalp, in shells
as thick as in adults: scalp with its fat 5 mm, skull vault 4 to 7 mm, of which a third is marrow.
`slices.from_labelmaps` makes subjects from the phantom by warping.
"""

from functools import lru_cache

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from input_pipeline.space import grid
from input_pipeline.space.random_field import generator, smooth_field
from input_pipeline.synthesis.phantom_brain import brain_labels, coordinates, mirrored_ellipsoids

# Labels, see `space.tissue_classes`.
_CSF, _SOFT, _SCALP, _DURA, _BONE, _MARROW, _ARTERY, _AIR = 24, 507, 511, 514, 515, 516, 502, 0

# Thickness of the layers in mm, from the brain's hull outwards: CSF, inner table, outer table, scalp.
_CSF_MM, _INNER_MM, _OUTER_MM, _SCALP_MM = 1.8, 1.5, 1.5, 4.5

# Label, centre (|x|, y, z) and half axes in mm of bones and vessels below the skull base: branches of the jaw and dens
# of the axis, each with marrow, and the carotid arteries.
_BELOW = (
    (_BONE, (49, -10, -66), (5, 15, 22)),
    (_MARROW, (49, -10, -66), (2.5, 12, 19)),
    (_BONE, (0, -24, -72), (9, 8, 13)),
    (_MARROW, (0, -24, -72), (6, 5, 10)),
    (_ARTERY, (25, -17, -66), (3, 3, 26)),
)

# Air in the skull base: mastoid cells and middle ear.
_AIR_CELLS = (44, -28, -50), (17, 24, 14)


@lru_cache(maxsize=1)
def phantom_label_map() -> np.ndarray:
    """The label map on the MNI152 grid (`space.grid`), read-only uint16. The first call takes some seconds."""
    brain = brain_labels()
    x, y, z = coordinates()
    inside = brain > 0
    distance = _distance(~_closed(inside))
    # Shapes marrow and air cells; the same in every call.
    patches = smooth_field(generator(0, "skull"), grid.SHAPE, 7)

    # The temporal bone is thin; the base is up to twice as thick as the vault.
    temporal = np.clip((30 - z) / 40, 0, 1) * np.clip((np.abs(x) - 30) / 20, 0, 1)
    base = 1 + np.clip(-32 - z, 0, 25) / 25 * (np.abs(x) < 60)
    marrow = np.clip(1.8 + 1.3 * patches, 0, 4) * base**1.5 * (1 - 0.6 * temporal * (z > -32))
    bone_end = _CSF_MM + (_INNER_MM + _OUTER_MM) * base + marrow

    width = 62 + 0.25 * np.clip(z + 77, 0, None)
    neck = ((x / width) ** 2 + ((y + 8) / 78) ** 2 < 1) & (z < -25)
    head = _smoothed((distance < 13 - 1.5 * temporal) | neck)
    labels = np.where(head, _SOFT, _AIR).astype(np.uint16)
    for label, centre, radii in _BELOW:
        for box, ellipsoid in mirrored_ellipsoids(centre, radii):
            labels[box][ellipsoid] = label
    labels[distance < bone_end] = _BONE
    inner = _CSF_MM + _INNER_MM * base
    labels[(distance > inner) & (distance < inner + marrow)] = _MARROW
    bone = (distance > inner) & (distance < bone_end)
    for box, ellipsoid in mirrored_ellipsoids(*_AIR_CELLS):
        labels[box][ellipsoid & bone[box] & (patches[box] > 0.7)] = _AIR
    labels[(_distance(head) <= _SCALP_MM) & head & (labels == _SOFT)] = _SCALP
    sinus = (np.abs(x) < 5) & (z > 30) & (distance < np.minimum(6 - 0.9 * np.abs(x), bone_end - _OUTER_MM))
    labels[sinus] = _DURA
    labels[(distance <= _CSF_MM) & ~sinus] = _CSF
    labels[inside] = brain[inside]
    labels.flags.writeable = False
    return labels


def _closed(mask: np.ndarray) -> np.ndarray:
    """The mask with gaps of up to about 18 mm closed (between the temporal lobes, below the brain stem)."""
    reach = 9
    return (_distance(_distance(~mask) < reach) > reach) | mask


def _smoothed(mask: np.ndarray) -> np.ndarray:
    """The mask with corners rounded over about 10 mm."""
    coarse = gaussian_filter(mask[::2, ::2, ::2].astype(np.float32), 3, truncate=2)
    return (_upsampled(coarse) > 0.5) | (mask & (coordinates()[2] > 0))


def _distance(mask: np.ndarray) -> np.ndarray:
    """Distance in mm of each voxel of the mask to the nearest voxel outside, computed on every other voxel."""
    return _upsampled(distance_transform_edt(mask[::2, ::2, ::2], sampling=2).astype(np.float32))


def _upsampled(volume: np.ndarray) -> np.ndarray:
    """Doubles the voxels along each axis; each new voxel is the mean of its neighbours."""
    for axis in range(volume.ndim):
        following = np.concatenate([volume.take(range(1, volume.shape[axis]), axis), volume.take([-1], axis)], axis)
        pairs = np.stack([volume, (volume + following) / 2], axis + 1)
        volume = pairs.reshape(*volume.shape[:axis], -1, *volume.shape[axis + 1 :])
    return volume
