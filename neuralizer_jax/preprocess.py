"""Arrays as the model takes them: sizes that can be halved, context sets of a few sizes."""

import numpy as np


def pad_to_multiple(x: np.ndarray, multiple: int, axes: tuple[int, ...]) -> tuple[np.ndarray, tuple[slice, ...]]:
    """Pads axes at both ends to the next multiple, repeating the border.

    Returns:
        The padded array, `x` itself where nothing is missing, and for each of `axes` the slice that cuts the original
        out of it.
    """
    widths = [(0, 0)] * x.ndim
    for axis in axes:
        missing = -x.shape[axis] % multiple
        widths[axis] = (missing // 2, missing - missing // 2)
    inside = tuple(slice(widths[axis][0], widths[axis][0] + x.shape[axis]) for axis in axes)
    return np.pad(x, widths, mode="edge") if np.any(widths) else x, inside


def resize(image: np.ndarray, size: tuple[int, ...], *, nearest: bool) -> np.ndarray:
    """Resizes the leading axes of `[*spatial]` or `[*spatial, C]` to `size`, linearly or to the nearest pixel."""
    if image.shape[: len(size)] == tuple(size):
        return image
    from scipy import ndimage

    zoom = [new / old for new, old in zip(size, image.shape, strict=False)] + [1] * (image.ndim - len(size))
    # grid_mode: the images' outer edges coincide, not the centres of their outer pixels.
    return ndimage.zoom(image, zoom, order=0 if nearest else 1, mode="nearest", grid_mode=True)


def bucket_size(members: int) -> int:
    """The size a context set is padded to: 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, ...

    A compiled program serves one size; powers of two and the sizes half-way between keep the programs few and the
    padding below a third.
    """
    power = 1 << max(0, members - 1).bit_length()
    return power * 3 // 4 if power >= 4 and members <= power * 3 // 4 else power
