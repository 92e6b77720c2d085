"""The network's probability and the vote of the aligned examples' labels, in one.

The vote knows the shape of a structure, the network knows the image. Where the vote is far from what the network finds,
as for lesions, which every example has elsewhere, the network alone decides.
"""

import numpy as np
from scipy import ndimage

# Standard deviation of the neighbourhood in which images are compared, and of the smoothing of masks, voxels.
_NEAR, _SMOOTH = 1.5, 0.7

# Share of the vote of many examples, and the Dice of vote and network over which it rises to it from 0.
_MOST = 0.4
_DICE = (0.4, 0.7)

_FLAT = 1e-8  # variance of an image without contrast
_LEAST = 0.01  # weight of an example that correlates with nothing


def local_vote(target: np.ndarray, images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Vote of the examples, each with the weight of its squared local correlation with the target.

    Args:
        target: `[X, Y, Z]` in [0, 1].
        images: `[N, X, Y, Z]`, the examples at the same place.
        masks: `[N, X, Y, Z]`, the structure in them.

    Returns:
        float32 `[X, Y, Z]`, 0 to 1.

    Reference:
        Artaechevarria et al., Combination strategies in multi-atlas image segmentation, IEEE TMI 2009.
    """
    mean, variance = _mean_and_variance(target)
    total, weights = np.zeros(target.shape, np.float32), np.zeros(target.shape, np.float32)
    for image, mask in zip(images, masks, strict=True):
        own_mean, own_variance = _mean_and_variance(image)
        covariance = ndimage.gaussian_filter(target * image, _NEAR) - mean * own_mean
        weight = covariance**2 / np.maximum(variance * own_variance, _FLAT) + _LEAST
        total += weight * ndimage.gaussian_filter(mask, _SMOOTH)
        weights += weight
    return total / weights


def share_of_vote(network: np.ndarray, vote: np.ndarray, examples: int) -> float:
    """How much the vote counts beside the network, 0 to 0.4: more of many examples, and where both agree.

    Example:
        >>> structure = np.repeat([0.0, 1, 0], (5, 10, 5))
        >>> [round(share_of_vote(structure, np.roll(structure, shift), examples=3), 2) for shift in (0, 8)]
        [0.3, 0.0]
    """
    found, voted = network > 0.5, vote > 0.5
    size = int(np.count_nonzero(found) + np.count_nonzero(voted))
    dice = 2 * np.count_nonzero(found & voted) / max(1, size)
    low, high = _DICE
    agreement = float(np.clip((dice - low) / (high - low), 0, 1))
    return _MOST * agreement * examples / (examples + 1)


def _mean_and_variance(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = ndimage.gaussian_filter(image, _NEAR)
    return mean, ndimage.gaussian_filter(image**2, _NEAR) - mean**2
