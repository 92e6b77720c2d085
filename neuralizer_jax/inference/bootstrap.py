"""Context-set bootstrapping: one context set -> several resampled, slightly moved ones (paper, section 3.5)."""

import jax
import jax.numpy as jnp
import numpy as np

# Largest deviation of the affine's entries from the identity (rotation and shear of about 3 degrees, scale of 5 %), and
# largest shift as a share of the image's size.
MAX_DEFORMATION = 0.05
MAX_SHIFT = 0.02


def draw_members(seed: int, draw: int, members: int, size: int) -> np.ndarray:
    """Indices of the members of one bootstrap draw, int `[size]` in [0, members), with replacement."""
    return np.random.default_rng([seed, draw, 0]).integers(members, size=size)


def draw_affines(seed: int, draw: int, size: int, dim: int) -> np.ndarray:
    """Small random affine maps, float32 `[size, dim, dim + 1]`: linear part, and shift as a share of the image size."""
    rng = np.random.default_rng([seed, draw, 1])
    linear = np.eye(dim) + rng.uniform(-MAX_DEFORMATION, MAX_DEFORMATION, (size, dim, dim))
    shift = rng.uniform(-MAX_SHIFT, MAX_SHIFT, (size, dim, 1))
    return np.concatenate([linear, shift], axis=-1).astype(np.float32)


def warp(image: jax.Array, affine: jax.Array, *, nearest: bool) -> jax.Array:
    """Resamples an image under an affine map about its centre.

    Args:
        image: `[*spatial, C]`.
        affine: `[dim, dim + 1]` as from `draw_affines`, from output to input coordinates.
        nearest: take the nearest pixel, for labels, instead of interpolating linearly.

    Returns:
        `[*spatial, C]`; what comes from outside repeats the border.
    """
    size = jnp.array(image.shape[:-1], jnp.float32)
    grid = jnp.stack(jnp.meshgrid(*map(jnp.arange, image.shape[:-1]), indexing="ij"), axis=-1)
    centre = (size - 1) / 2
    coordinates = jnp.moveaxis((grid - centre) @ affine[:, :-1].T + centre + affine[:, -1] * size, -1, 0)

    def sample(channel):
        order = 0 if nearest else 1
        return jax.scipy.ndimage.map_coordinates(channel, list(coordinates), order=order, mode="nearest")

    return jax.vmap(sample, in_axes=-1, out_axes=-1)(image)
