"""Scores of one prediction: Dice and surface distance of a mask, PSNR and SSIM of an image."""

from collections.abc import Sequence

import jax
import numpy as np

from neuralizer_jax.metrics import dice, psnr

SEGMENTATION_METRICS = ("dice", "hd95")
IMAGE_METRICS = ("psnr", "ssim")

_dice, _psnr = jax.jit(dice), jax.jit(psnr)


def case_scores(
    prediction: np.ndarray, truth: np.ndarray, is_segmentation: bool, extent: float = 192
) -> dict[str, float]:
    """The metrics of a prediction.

    >>> truth = np.zeros((8, 8), np.float32)
    >>> truth[2:6, 2:6] = 1
    >>> case_scores(truth, truth, is_segmentation=True)
    {'dice': 1.0, 'hd95': 0.0}

    Args:
        prediction: float32 `[S, S]`; for a segmentation, probabilities: a pixel above 0.5 is in the mask.
        truth: `[S, S]`: a mask, or an image in [0, 1].
        is_segmentation: whether they are masks.
        extent: field of view along both axes, mm.

    Returns:
        `SEGMENTATION_METRICS`: `dice` in [0, 1] and `hd95` in mm, NaN if one mask is empty. Or `IMAGE_METRICS`: `psnr`
        in dB and `ssim`, at most 1.
    """
    with_axes = prediction[None, ..., None], truth[None, ..., None]
    if is_segmentation:
        pixel = extent / truth.shape[-1]
        return {"dice": float(_dice(*with_axes)[0]), "hd95": hd95(prediction > 0.5, truth > 0.5, pixel)}
    return {"psnr": float(_psnr(*with_axes)[0]), "ssim": ssim(prediction, truth)}


def hd95(mask: np.ndarray, other: np.ndarray, pixel: float | Sequence[float]) -> float:
    """The 95th percentile of the surface distance, the larger of both directions.

    A pixel belongs to the surface if one of its neighbours along an axis (four in a plane, six in a volume) is outside
    of the mask or of the image. Distances are from each surface pixel's centre to the nearest one of the other surface;
    the percentile is interpolated linearly (Maier-Hein et al. 2024, https://doi.org/10.1038/s41592-023-02151-z).

    >>> mask = np.zeros((8, 8), bool)
    >>> mask[2:4, 2:4] = True
    >>> hd95(mask, np.roll(mask, 1, axis=1), pixel=1.5)
    1.5

    The masks are bool `[H, W]` or `[X, Y, Z]`, and `pixel` is the size of a pixel in mm, one number or one for each
    axis. The distance is in mm; 0 if both masks are empty, NaN if one is.
    """
    from scipy.ndimage import binary_erosion
    from scipy.spatial import KDTree

    if not (mask.any() and other.any()):
        return 0.0 if mask.any() == other.any() else float("nan")
    surfaces = [np.asarray(pixel) * np.argwhere(one & ~binary_erosion(one)) for one in (mask, other)]
    distances = (KDTree(there).query(here)[0] for here, there in (surfaces, surfaces[::-1]))
    return float(max(np.percentile(distance, 95) for distance in distances))


def ssim(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity of two images `[H, W]` in [0, 1]; the prediction is clipped to that range.

    With the Gaussian window of Wang et al. 2004 (https://doi.org/10.1109/TIP.2003.819861): sigma 1.5, 11 pixels wide.

    >>> image = np.eye(16, dtype=np.float32)
    >>> ssim(image, image)
    1.0
    """
    from skimage.metrics import structural_similarity

    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(np.clip(prediction, 0, 1), truth, data_range=1.0, **window))
