"""Sizes of arrays that the network takes: padding, resampling, sizes of context sets. NumPy and SciPy only."""

from typing import NamedTuple

import numpy as np

_ROUNDING = 1e-6  # of coordinates, in pixels


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


class Resampling(NamedTuple):
    """How an image is put on another grid of pixels: centre on centre, or moved.

    size: spatial size of the result.
    step: pixels of the image for each pixel of the result, along each axis.
    shift: the centre of the result lies so many pixels of the image behind the image's centre, along each axis.
    """

    size: tuple[int, ...]
    step: tuple[float, ...]
    shift: tuple[float, ...]

    def __call__(self, image: np.ndarray, *, nearest: bool) -> np.ndarray:
        """Reads `[*spatial]` or `[*spatial, C]` on the new grid, linearly or the nearest pixel; 0 outside of the image.

        >>> Resampling((2, 4), (1, 0.5), (0, 0))(np.array([[1, 2], [3, 4]]), nearest=True)
        array([[1, 1, 2, 2],
               [3, 3, 4, 4]])
        """
        axes = len(self.size)
        old = image.shape[:axes]
        starts = [
            (n - 1) / 2 + shift - step * (new - 1) / 2
            for n, new, step, shift in zip(old, self.size, self.step, self.shift, strict=True)
        ]
        if self.step == (1,) * axes:  # crop and pad: half a pixel is no reason to blur
            starts = [float(round(start)) for start in starts]
            if self.size == old and not any(starts):
                return image
        from scipy import ndimage

        channels = (1,) * (image.ndim - axes)
        # The edge pixels reach half a pixel beyond their centres.
        moved = ndimage.affine_transform(
            image,
            (*self.step, *channels),
            (*starts, *np.zeros(len(channels))),
            output_shape=(*self.size, *image.shape[axes:]),
            order=0 if nearest else 1,
            mode="nearest",
        )
        for axis, (n, new, start, step) in enumerate(zip(old, self.size, starts, self.step, strict=True)):
            places = start + step * np.arange(new)
            outside = (places < -0.5 - _ROUNDING) | (places > n - 0.5 + _ROUNDING)
            np.moveaxis(moved, axis, 0)[outside] = 0
        return moved


def bucket_size(members: int) -> int:
    """The size to which a context set is padded: 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, ...

    Each size needs its own compiled program. Powers of two and the sizes half-way between them keep programs few and
    padding below a third.

    >>> [bucket_size(members) for members in (1, 5, 9, 32, 33)]
    [1, 6, 12, 32, 48]
    """
    power = 1 << max(0, members - 1).bit_length()
    return power * 3 // 4 if power >= 4 and members <= power * 3 // 4 else power
