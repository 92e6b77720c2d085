"""Affine maps of points and volumes, for the tests of alignment and resampling."""

import numpy as np
from scipy.spatial.transform import Rotation

# Eight of the 48 ways to store a volume: axis order, and which axes run backwards.
ORIENTATIONS = (
    *(((0, 1, 2), ()), ((0, 1, 2), (0,)), ((0, 1, 2), (0, 1)), ((1, 0, 2), (2,))),
    *(((0, 2, 1), (0, 1)), ((2, 1, 0), (0, 1, 2)), ((1, 2, 0), ()), ((2, 0, 1), (1,))),
)


def world_affine(rotation, scale, shear, shift):
    matrix = np.eye(4)
    upper = np.eye(3)
    upper[np.triu_indices(3, 1)] = shear
    matrix[:3, :3] = Rotation.from_rotvec(np.deg2rad(rotation)).as_matrix() @ np.diag(scale) @ upper
    matrix[:3, 3] = shift
    return matrix


def move(points, matrix):
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def moved(centroids, matrix):
    scale = abs(np.linalg.det(matrix[:3, :3]))
    return {label: (move(point, matrix), volume * scale) for label, (point, volume) in centroids.items()}


def reorient(volume, affine, order, flips):
    """The same volume in the same world with its axes stored otherwise."""
    volume = volume.transpose(order)
    affine = affine[:, [*order, 3]].copy()
    for axis in flips:
        volume = np.flip(volume, axis)
        affine[:3, 3] += affine[:3, axis] * (volume.shape[axis] - 1)
        affine[:3, axis] *= -1
    return volume, affine
