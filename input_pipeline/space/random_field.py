"""Independent random streams of a seed, and smooth random fields: coarse noise interpolated by cubic B-splines."""

from functools import lru_cache
from zlib import crc32

import numpy as np


def generator(seed: int, *stream: str | int) -> np.random.Generator:
    """A Philox generator for one stream of a seed. Streams with different names are independent."""
    entropy = [seed, *(crc32(part.encode()) if isinstance(part, str) else part for part in stream)]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def smooth_field(rng: np.random.Generator, shape: tuple[int, ...], spacing: float, step: float = 1.0) -> np.ndarray:
    """A random field with mean 0 and standard deviation 1, float32, that varies over about `spacing`.

    Args:
        rng: source of the random numbers.
        shape: of the field, any number of axes.
        spacing: distance between the nodes of the coarse grid.
        step: distance between samples of the field, in the unit of `spacing`.
    """
    splines = [_spline(length, spacing / step) for length in shape]
    field = rng.standard_normal([first[-1] + 4 for first, _ in splines], dtype=np.float32)
    for first, weights in splines:
        # Interpolates along the first axis and moves it to the end: after one turn each axis is back in its place.
        weights = weights.reshape(*weights.shape, *(1,) * (field.ndim - 1))
        field = sum(weights[node] * field[first + node] for node in range(4))
        field = np.ascontiguousarray(np.moveaxis(field, 0, -1))
    return field


@lru_cache(maxsize=64)
def spline_weights(length: int, spacing: float) -> np.ndarray:
    """The interpolation of `smooth_field` along one axis as a matrix `[length, nodes]`, float32.

    Nodes are `spacing` samples apart. Independent nodes with variance 1 give samples with variance 1.
    """
    first, weights = _spline(length, spacing)
    matrix = np.zeros((length, first[-1] + 4), np.float32)
    for node in range(4):
        matrix[np.arange(length), first + node] = weights[node]
    matrix.flags.writeable = False
    return matrix


@lru_cache(maxsize=64)
def _spline(length: int, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """First of the four nodes around each sample `[length]`, and their weights `[4, length]` for a variance of 1."""
    places = np.arange(length) / spacing
    first = np.floor(places).astype(int)
    # Node n is at n - 1, so that the first sample also has a node before it.
    distance = np.abs(places - first - np.arange(-1, 3)[:, None])
    inner = 2 / 3 - distance**2 + distance**3 / 2
    outer = np.clip(2 - distance, 0, None) ** 3 / 6
    weights = np.where(distance < 1, inner, outer)
    return first, (weights / np.sqrt((weights**2).sum(0))).astype(np.float32)
