"""Whether a scan shows a brain alone, and what is around it."""

import numpy as np

# A brain without its skull has at most so many litres, and this share of the scan is a constant background.
_LARGEST_BRAIN_LITRES = 2.3
_LEAST_BACKGROUND = 0.3


def is_skull_stripped(values: np.ndarray, affine: np.ndarray) -> bool:
    """Whether a scan `[X, Y, Z]` shows a brain alone: on a constant background, and not larger than brains are.

    Example:
        >>> brain = np.zeros((20, 20, 20))
        >>> brain[5:15, 5:15, 5:15] = np.arange(1000).reshape(10, 10, 10) + 1
        >>> is_skull_stripped(brain, np.diag([10, 10, 10, 1])), is_skull_stripped(brain, np.diag([20, 20, 20, 1]))
        (True, False)
    """
    inside = int(np.count_nonzero(values != _background(values)))
    litres = inside * abs(float(np.linalg.det(affine[:3, :3]))) / 1e6
    return litres < _LARGEST_BRAIN_LITRES and inside < (1 - _LEAST_BACKGROUND) * values.size


def with_dark_background(values: np.ndarray) -> np.ndarray:
    """A skull-stripped scan whose background is 0 and darker than the brain, as around z-scores it is not.

    Example:
        >>> with_dark_background(np.array([[[0.0, 0, 0, -1, 2, 0, 0, 0]]])).round(2).tolist()
        [[[0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0]]]
    """
    inside = values != _background(values)
    low, high = values[inside].min(), values[inside].max()
    return np.where(inside, values - low + np.float32(1e-4) * (high - low), 0).astype(np.float32)


def _background(values: np.ndarray) -> np.floating:
    """The median of the outermost voxels."""
    return np.median(np.concatenate([np.take(values, (0, -1), axis).ravel() for axis in range(3)]))
