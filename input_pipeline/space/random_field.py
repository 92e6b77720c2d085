"""Named streams of random numbers, and smooth random fields: coarse noise interpolated with cubic B-splines."""

from functools import lru_cache
from zlib import crc32

import numpy as np


def generator(seed: int, *stream: str | int) -> np.random.Generator:
    """Philox generator of a stream of the seed: streams of other names or numbers are independent of it."""
    entropy = [seed, *(crc32(part.encode()) if isinstance(part, str) else part for part in stream)]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def smooth_field(rng: np.random.Generator, shape: tuple[int, ...], spacing: float, step: float = 1.0) -> np.ndarray:
    """A random field of mean 0 and standard deviation 1, float32, that varies over distances of about `spacing`.

    Args:
        rng: where the numbers come from.
        shape: of the field, any number of axes.
        spacing: distance of the coarse grid's nodes.
        step: distance of neighbouring samples of the field, in the units of `spacing`.
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
def _spline(length: int, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """First of the four nodes around each sample `[length]`, and their weights `[4, length]` for a variance of 1."""
    places = np.arange(length) / spacing
    first = np.floor(places).astype(int)
    # Node n stands at n - 1: the first sample has one before it.
    distance = np.abs(places - first - np.arange(-1, 3)[:, None])
    inner = 2 / 3 - distance**2 + distance**3 / 2
    outer = np.clip(2 - distance, 0, None) ** 3 / 6
    weights = np.where(distance < 1, inner, outer)
    return first, (weights / np.sqrt((weights**2).sum(0))).astype(np.float32)


@lru_cache(maxsize=64)
def spline_weights(length: int, spacing: float) -> np.ndarray:
    """Matrix `[length, nodes]` float32 that interpolates nodes `spacing` samples apart: independent nodes of variance 1
    give samples of variance 1.
    """
    first, weights = _spline(length, spacing)
    matrix = np.zeros((length, first[-1] + 4), np.float32)
    for node in range(4):
        matrix[np.arange(length), first + node] = weights[node]
    matrix.flags.writeable = False
    return matrix
