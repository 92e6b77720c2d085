"""New subjects: smooth random deformations in 3-D that do not fold, computed only where a slice lies.

A deformation is a sum of plane waves, and of growth or shrinkage around the lateral ventricles, which vary more than
any other structure. In a plane each part is a product of a function of the row and a function of the column, so the
whole slice costs one matrix product.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from input_pipeline.space.grid import ORIGIN
from neuralizer_jax.errors import InputError

DEFAULTS = {
    "probability": 0.9,  # that a subject is deformed
    # Largest stretch or compression that the waves could add up to, as a fraction; a third of it is typical. Longer
    # waves move further: 0.5 moves by about 3 mm.
    "strain": (0.1, 0.55),
    "wavelength": (50.0, 200.0),  # mm
    "ventricles": (-0.3, 0.3),  # growth of the lateral ventricles along each axis, as a fraction; negative shrinks
}

_WAVES = 8

# Middles of the lateral ventricles, voxels, and the distance over which their growth fades, mm.
_VENTRICLES = np.subtract([(-12, -12, 20), (12, -12, 20)], ORIGIN).astype(np.float32)
_VENTRICLE_RADIUS = 14.0

# The growth of the two ventricles adds up between them.
_GROWTH_SUM = 1.45


class Deformation(NamedTuple):
    """The point p reads the subject at p + displacement(p).

    Attributes:
        amplitudes: `[8, 3]`, how far each wave moves a point, mm.
        frequencies: `[8, 3]`, frequency of each wave along x, y and z, radians per mm.
        phases: `[8]`, radians.
        growth: how much the lateral ventricles grow along each axis, as a fraction.
    """

    amplitudes: jax.Array
    frequencies: jax.Array
    phases: jax.Array
    growth: jax.Array


def check_deformation(config: ConfigDict) -> None:
    """Raises InputError if a deformation could fold: its derivative would be 1 or more."""
    most = config.strain[1] + _GROWTH_SUM * max(map(abs, config.ventricles))
    if config.strain[0] < 0 or most >= 1:
        raise InputError(
            f"volumes.deformation: strain is up to {config.strain[1]} and ventricles up to"
            f" {max(map(abs, config.ventricles))}, expected strain + {_GROWTH_SUM} ventricles below 1: it could fold"
        )
    if config.wavelength[0] < 10:
        raise InputError(f"volumes.deformation.wavelength: from {config.wavelength[0]} mm, expected 10 or more")


def sample_deformation(key: jax.Array, config: ConfigDict) -> Deformation:
    """Samples a deformation; `config` is `DEFAULTS`, changed."""
    # In two calls: on a CPU the calls cost time, not the numbers.
    for_numbers, for_directions = jax.random.split(key)
    numbers = jax.random.uniform(for_numbers, (3 + 3 * _WAVES,))
    directions = jax.random.normal(for_directions, (2, _WAVES, 3))
    directions /= jnp.linalg.norm(directions, axis=-1, keepdims=True)
    waves = numbers[3:].reshape(3, _WAVES)
    is_on = numbers[0] < config.probability
    shortest, longest = config.wavelength
    frequency = 2 * jnp.pi / (shortest * (longest / shortest) ** waves[0])
    share = (0.2 + waves[1]) / (0.2 + waves[1]).sum()
    strain = is_on * share * (config.strain[0] + (config.strain[1] - config.strain[0]) * numbers[1])
    low, high = config.ventricles
    return Deformation(
        (strain / frequency)[:, None] * directions[0],
        frequency[:, None] * directions[1],
        2 * jnp.pi * waves[2],
        is_on * (low + (high - low) * numbers[2]),
    )


def in_plane(deformation: Deformation, matrix: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """The points of a plane, moved by the deformation.

    Args:
        deformation: the subject's.
        matrix: `[3, 3]`: the point at (row, column) is matrix @ (row, column, 1), in voxels. The directions of rows and
            columns are at right angles.
        rows: `[H]`, mm.
        columns: `[W]`, mm.

    Returns:
        `[3, H, W]` float32, voxels along x, y and z.
    """
    along_row, along_column, origin = matrix.T
    # Waves: sin(a + b) = sin a cos b + cos a sin b, a along the rows and b along the columns.
    by_row = deformation.frequencies @ along_row * rows[:, None] + deformation.frequencies @ origin + deformation.phases
    by_column = deformation.frequencies @ along_column * columns[:, None]
    amplitudes = deformation.amplitudes.T[:, None]
    left = [amplitudes * jnp.sin(by_row), amplitudes * jnp.cos(by_row)]
    right = [jnp.cos(by_column), jnp.sin(by_column)]
    # The plane itself.
    ones = jnp.ones_like(columns)[:, None]
    left.append((along_row[:, None] * rows + origin[:, None])[..., None])
    left.append(jnp.broadcast_to(along_column[:, None, None], (3, len(rows), 1)))
    right += [ones, columns[:, None]]
    for middle in _VENTRICLES:
        offset = origin - middle
        row_fade, row_rest = _fade(along_row, offset, rows)
        column_fade, column_rest = _fade(along_column, offset, columns)
        strength = -deformation.growth * jnp.exp(-(offset @ offset - row_rest - column_rest) / 2 / _VENTRICLE_RADIUS**2)
        along = strength * row_fade * (along_row[:, None] * rows + offset[:, None])
        left += [along[..., None], (strength * row_fade * along_column[:, None])[..., None]]
        right += [column_fade[:, None], (column_fade * columns)[:, None]]
    return jnp.matmul(jnp.concatenate(left, -1), jnp.concatenate(right, -1).T, precision="highest")


def _fade(direction: jax.Array, offset: jax.Array, places: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The factor of a Gaussian along one direction of the plane, and the part of |offset|^2 that it accounts for."""
    length = jnp.linalg.norm(direction)
    start = direction @ offset / length
    return jnp.exp(-((length * places + start) ** 2) / 2 / _VENTRICLE_RADIUS**2), start**2
