"""Where the slices of an episode lie in its volumes: a plane that all share, and what registration leaves between them.

Planes are displayed as `neuralizer_jax.files.planes` says: sagittal and coronal with rows from superior to inferior,
axial from anterior to posterior; columns from left to right, sagittal from posterior to anterior.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from input_pipeline.space.grid import SHAPE

DEFAULTS = {
    # All images of an episode share these.
    "shared": {
        "tilt": (-15.0, 15.0),  # degrees, about the rows' and the columns' axis
        "rotation": (-15.0, 15.0),  # degrees, in the plane
        "scale": (0.85, 1.15),  # along rows and columns
    },
    # Each image draws its own. The episode draws their typical size from these ranges, alike for the three directions.
    "misalignment": {
        "shift": (0.0, 6.0),  # mm
        "rotation": (0.0, 8.0),  # degrees
        "scale": (0.0, 0.06),
    },
}

# For each normal x, y and z, the directions of the rows, the columns and the normal, as columns of a matrix.
_FRAMES = np.array(
    [
        [[0, 0, 1], [0, 1, 0], [-1, 0, 0]],
        [[0, 1, 0], [0, 0, 1], [-1, 0, 0]],
        [[0, 1, 0], [-1, 0, 0], [0, 0, 1]],
    ],
    np.float32,
)
_MIDDLE = (np.array(SHAPE, np.float32) - 1) / 2


class Plane(NamedTuple):
    """A plane of a volume; coordinates are voxels of 1 mm.

    Attributes:
        matrix: `[3, 3]`: the point at (row, column) is matrix @ (row, column, 1), rows and columns in mm from the
            middle of the slice.
        normal: `[3]`, of length 1.
    """

    matrix: jax.Array
    normal: jax.Array


def sample_plane(
    shared_key: jax.Array,
    own_key: jax.Array,
    config: ConfigDict,
    *,
    axis: jax.Array,
    position: jax.Array,
    centre: jax.Array,
    pivot: jax.Array,
    flip: jax.Array,
) -> Plane:
    """Samples the plane of one image.

    Args:
        shared_key: random key of the episode.
        own_key: random key of the image.
        config: `DEFAULTS`, changed.
        axis: normal of the plane before it is tilted: 0, 1, 2 for x, y, z.
        position: voxel along the axis.
        centre: `[2]`, middle of the slice along rows and columns, mm from the middle of the grid.
        pivot: `[2]`, point of the plane that it turns about, likewise.
        flip: whether left and right of the volume are exchanged.
    """
    frame = jnp.asarray(_FRAMES)[axis]
    origin = (frame[:, :2] @ pivot + jnp.asarray(_MIDDLE)).at[axis].set(position)
    numbers = jax.random.uniform(shared_key, (8,))

    def between(number: jax.Array, bounds: tuple[float, float]) -> jax.Array:
        return bounds[0] + (bounds[1] - bounds[0]) * number

    shared, apart = config.shared, config.misalignment
    turn = _rotation(jnp.append(between(numbers[:2], shared.tilt), between(numbers[2], shared.rotation)))
    stretch = jnp.append(1 / between(numbers[3:5], shared.scale), 1.0)
    own = jax.random.normal(own_key, (7,)).clip(-2, 2)
    # The three parts of a shift add up to its size.
    shift = between(numbers[5], apart.shift) * own[:3] / 3**0.5
    own_turn = _rotation(between(numbers[6], apart.rotation) * own[3:6] / 3**0.5)
    own_scale = 1 + between(numbers[7], apart.scale) * own[6]
    directions = frame @ own_turn @ turn
    along = (directions * stretch / own_scale)[:, :2]
    matrix = jnp.concatenate([along, (origin + shift + along @ (centre - pivot))[:, None]], axis=1)
    normal = directions[:, 2]
    # The grid is symmetric about the middle of the brain.
    side = jnp.array([jnp.where(flip, -1.0, 1.0), 1.0, 1.0])
    matrix = matrix * side[:, None]
    return Plane(matrix.at[0, 2].add(jnp.where(flip, SHAPE[0] - 1.0, 0.0)), normal * side)


def _rotation(degrees: jax.Array) -> jax.Array:
    """Rotation matrix `[3, 3]` about an axis `[3]` by its length."""
    radians = degrees * (np.pi / 180)
    angle = jnp.sqrt((radians**2).sum() + 1e-12)
    x, y, z = radians / angle
    cross = jnp.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return jnp.eye(3) + jnp.sin(angle) * cross + (1 - jnp.cos(angle)) * cross @ cross
