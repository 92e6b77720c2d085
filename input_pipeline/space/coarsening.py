"""What thick slices show of an axis, as a matrix: of images in training (JAX) and of whole scans (NumPy)."""

from typing import Any

import numpy as np


def coarsening(length: int, factor: Any, first: Any, xp: Any = np) -> Any:
    """Matrix `[length, length]` that averages samples over adjoining slices and interpolates these linearly.

    Args:
        length: number of samples.
        factor: thickness and distance of the slices in samples, at least 1; with `first` 0, 1 is the identity.
        first: centre of one of the slices, in samples.
        xp: `numpy`, or `jax.numpy` for a factor that is traced.

    Example:
        >>> coarsening(6, 3, 1)[[1, 2, 4]].round(2).tolist()
        [[0.33, 0.33, 0.33, 0.0, 0.0, 0.0], [0.22, 0.22, 0.22, 0.11, 0.11, 0.11], [0.0, 0.0, 0.0, 0.33, 0.33, 0.33]]
    """
    places = xp.arange(length)
    slices = (places - first) / factor
    before = xp.floor(slices)

    def means(index: Any) -> Any:
        centres = xp.clip(first + index * factor, 0, length - 1)
        # Fraction of each sample inside of the slice.
        overlap = xp.clip((factor + 1) / 2 - xp.abs(places - centres[:, None]), 0, 1)
        return overlap / overlap.sum(1, keepdims=True)

    after = (slices - before)[:, None]
    return (1 - after) * means(before) + after * means(before + 1)
