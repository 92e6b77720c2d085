"""Bootstrapping of context sets: resampling pairs with replacement and moving them slightly (paper, section 3.5)."""

import jax
import jax.numpy as jnp
import numpy as np

# Largest deviation of the matrix entries from the identity (rotation and shear of about 3 degrees, scale of 5 %), and
# largest shift relative to the image size.
MAX_DEFORMATION = 0.05
MAX_SHIFT = 0.02


def draw_members(seed: int, draw: int, members: int, size: int) -> np.ndarray:
    """Samples the indices of one bootstrap draw with replacement: int `[size]` in [0, members).

    >>> draw_members(seed=0, draw=1, members=3, size=5)
    array([1, 2, 2, 1, 0])
    """
    return np.random.default_rng([seed, draw, 0]).integers(members, size=size)


def draw_affines(seed: int, draw: int, size: int, dim: int) -> np.ndarray:
    """Samples small affine maps, float32 `[size, dim, dim + 1]`: matrix, and shift relative to the image size.

    >>> draw_affines(seed=0, draw=1, size=4, dim=2).shape
    (4, 2, 3)
    """
    rng = np.random.default_rng([seed, draw, 1])
    linear = np.eye(dim) + rng.uniform(-MAX_DEFORMATION, MAX_DEFORMATION, (size, dim, dim))
    shift = rng.uniform(-MAX_SHIFT, MAX_SHIFT, (size, dim, 1))
    return np.concatenate([linear, shift], axis=-1).astype(np.float32)


def warp(image: jax.Array, affine: jax.Array, *, nearest: bool) -> jax.Array:
    """Resamples an image `[*spatial, C]` by an affine map about its centre, `[dim, dim + 1]` of `draw_affines`.

    The map goes from output to input coordinates. Outside the image, the border is repeated. Interpolation is linear,
    or for labels by the nearest pixel.
    """
    size = jnp.array(image.shape[:-1], jnp.float32)
    grid = jnp.stack(jnp.meshgrid(*map(jnp.arange, image.shape[:-1]), indexing="ij"), axis=-1)
    centre = (size - 1) / 2
    coordinates = jnp.moveaxis((grid - centre) @ affine[:, :-1].T + centre + affine[:, -1] * size, -1, 0)

    def sample(channel):
        order = 0 if nearest else 1
        return jax.scipy.ndimage.map_coordinates(channel, list(coordinates), order=order, mode="nearest")

    return jax.vmap(sample, in_axes=-1, out_axes=-1)(image)
