"""Sizes of arrays that the network takes: padding, resizing, sizes of context sets. NumPy only."""

import numpy as np


def pad_to_multiple(x: np.ndarray, multiple: int, axes: tuple[int, ...]) -> tuple[np.ndarray, tuple[slice, ...]]:
    """Pads axes on both ends to the next multiple of a length, by repeating the border.

    Returns:
        The padded array (`x` itself if nothing is missing), and for each of `axes` the slice of the original.

    >>> padded, inside = pad_to_multiple(np.ones((1, 6, 8)), 8, axes=(1, 2))
    >>> padded.shape, inside
    ((1, 8, 8), (slice(1, 7, None), slice(0, 8, None)))
    """
    widths = [(0, 0)] * x.ndim
    for axis in axes:
        missing = -x.shape[axis] % multiple
        widths[axis] = (missing // 2, missing - missing // 2)
    inside = tuple(slice(widths[axis][0], widths[axis][0] + x.shape[axis]) for axis in axes)
    return np.pad(x, widths, mode="edge") if np.any(widths) else x, inside


def resize(image: np.ndarray, size: tuple[int, ...], *, nearest: bool) -> np.ndarray:
    """Resizes `[*spatial]` or `[*spatial, C]` to the spatial size `size`, linearly or to the nearest pixel.

    >>> resize(np.array([[1, 2], [3, 4]]), (2, 4), nearest=True)
    array([[1, 1, 2, 2],
           [3, 3, 4, 4]])
    """
    if image.shape[: len(size)] == tuple(size):
        return image
    from scipy import ndimage

    zoom = [new / old for new, old in zip(size, image.shape, strict=False)] + [1] * (image.ndim - len(size))
    # grid_mode: the outer edges of both images coincide, not the centres of their outer pixels.
    return ndimage.zoom(image, zoom, order=0 if nearest else 1, mode="nearest", grid_mode=True)


def bucket_size(members: int) -> int:
    """The size to which a context set is padded: 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, ...

    Each size needs its own compiled program. Powers of two and the sizes half-way between them keep programs few and
    padding below a third.

    >>> [bucket_size(members) for members in (1, 5, 9, 32, 33)]
    [1, 6, 12, 32, 48]
    """
    power = 1 << max(0, members - 1).bit_length()
    return power * 3 // 4 if power >= 4 and members <= power * 3 // 4 else power
