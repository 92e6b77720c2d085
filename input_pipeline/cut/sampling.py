"""Reads a volume at the points of a slice."""

import jax
import jax.numpy as jnp


def nearest(volumes: jax.Array, row: jax.Array, points: jax.Array) -> jax.Array:
    """The voxel nearest to each point; 0 outside.

    Args:
        volumes: `[n, X, Y, Z]`, integers.
        row: which of them.
        points: `[3, H, W]`, voxels along x, y and z.

    Returns:
        `[H, W]` int32.
    """
    places = jnp.round(points).astype(jnp.int32)
    values = _at(volumes, row, *places).astype(jnp.int32)
    return jnp.where(_inside(points, volumes.shape[1:]), values, 0)


def linear(volumes: jax.Array, row: jax.Array, points: jax.Array) -> jax.Array:
    """The volume at each point, interpolated linearly, `[H, W]` float32; 0 outside. Arguments as for `nearest`."""
    limits = jnp.array(volumes.shape[1:], jnp.float32)[:, None, None] - 1
    clipped = jnp.clip(points, 0, limits)
    first = jnp.minimum(jnp.floor(clipped), limits - 1)
    (x, y, z), (right, front, up) = first.astype(jnp.int32), clipped - first

    def along_z(x, y):
        low, high = (_at(volumes, row, x, y, at).astype(jnp.float32) for at in (z, z + 1))
        return low + up * (high - low)

    def along_y(x):
        back, ahead = along_z(x, y), along_z(x, y + 1)
        return back + front * (ahead - back)

    left = along_y(x)
    return jnp.where(_inside(points, volumes.shape[1:]), left + right * (along_y(x + 1) - left), 0)


def _at(volumes: jax.Array, row: jax.Array, x: jax.Array, y: jax.Array, z: jax.Array) -> jax.Array:
    # The number of a voxel of many volumes would exceed 32 bits, that of one volume does not.
    _, width, depth, height = volumes.shape
    x, y, z = (jnp.clip(at, 0, length - 1) for at, length in ((x, width), (y, depth), (z, height)))
    voxels = volumes.reshape(volumes.shape[0], -1)
    return voxels.at[row, (x * depth + y) * height + z].get(mode="promise_in_bounds")


def _inside(points: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Whether points lie in a volume, up to the outer edges of its voxels."""
    # Axis by axis: on a CPU `all` over an axis takes five times as long.
    axes = [(along >= -0.5) & (along < length - 0.5) for along, length in zip(points, shape, strict=True)]
    return axes[0] & axes[1] & axes[2]
