"""What scanners do to images, in 3-D: noise, bias field, thick slices. And how much noise an image has."""

from collections.abc import Sequence

import numpy as np

from input_pipeline.space.coarsening import coarsening
from input_pipeline.space.random_field import smooth_field

# Distance of the nodes of the bias field, mm, as in the task `denoising`.
_BIAS_MM = 80.0

# The median of the absolute value of a normal number is this share of its standard deviation.
_MEDIAN_OF_NORMAL = 0.6745


def add_noise(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Adds Rician noise of standard deviation `sigma` to an image."""
    real, imaginary = (sigma * rng.standard_normal(image.shape, dtype=np.float32) for _ in range(2))
    return np.hypot(image + real, imaginary)


def add_bias(
    image: np.ndarray, strength: float, steps: Sequence[float] | np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Multiplies an image by a smooth factor, whose logarithm has the standard deviation `strength`.

    Args:
        image: `[X, Y, Z]`.
        strength: 0.1 to 0.35 is usual.
        steps: mm between voxels along each axis.
        rng: source of the random numbers.
    """
    field = smooth_field(rng, image.shape, _BIAS_MM / float(np.mean(steps)))
    # A gain of the whole image cannot be recovered.
    field -= (field * image).sum() / max(float(image.sum()), 1e-6)
    return image * np.exp(strength * field)


def thick_slices(
    image: np.ndarray, thickness: Sequence[float] | np.ndarray, first: Sequence[float] | np.ndarray
) -> np.ndarray:
    """The image of a scan with thick slices, interpolated linearly between them.

    Args:
        image: `[X, Y, Z]`.
        thickness: of the slices along each axis, and their distance, in voxels; 1 or less leaves the axis as it is.
        first: centre of one of the slices along each axis, in voxels.

    Example:
        >>> thick_slices(np.array([[[0, 3, 0, 3, 6, 3]]]), (1, 1, 3), (0, 0, 1)).round(2).ravel().tolist()
        [1.17, 1.0, 2.0, 3.0, 4.0, 4.17]
    """
    for axis, (size, start) in enumerate(zip(thickness, first, strict=True)):
        if size > 1:
            matrix = coarsening(image.shape[axis], size, start).astype(np.float32)
            image = np.moveaxis(np.tensordot(matrix, image, axes=(1, axis)), 0, axis)
    return image


def noise_level(image: np.ndarray, inside: np.ndarray) -> float:
    """Standard deviation of the noise of an image, in its unit.

    Measured by differences along all three axes at once, in which anatomy nearly cancels (as the finest diagonal
    wavelet, Donoho and Johnstone 1994). Noise that is correlated between neighbours is underestimated.

    Args:
        image: `[X, Y, Z]`.
        inside: the voxels of the head or brain, bool of the same shape.

    Example:
        >>> noise = np.random.default_rng(0).normal(scale=0.1, size=(30, 30, 30))
        >>> round(noise_level(1 + noise, np.ones(noise.shape, bool)), 2)
        0.1
    """
    difference = np.asarray(image, np.float32)
    for axis in range(3):
        difference = np.diff(difference, axis=axis) / np.float32(np.sqrt(2))
        inside = np.take(inside, range(1, inside.shape[axis]), axis)
    found = np.abs(difference[inside])
    return float(np.median(found)) / _MEDIAN_OF_NORMAL if found.size else 0.0
