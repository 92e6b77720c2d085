"""How good a prediction is: Dice and surface distance of a mask, PSNR and SSIM of an image."""

import jax
import numpy as np

from neuralizer_jax.metrics import dice, psnr

# What is told of a segmentation, and of an image.
SEGMENTATION_METRICS = ("dice", "hd95")
IMAGE_METRICS = ("psnr", "ssim")

_dice, _psnr = jax.jit(dice), jax.jit(psnr)


def case_scores(
    prediction: np.ndarray, truth: np.ndarray, is_segmentation: bool, extent: float = 192
) -> dict[str, float]:
    """The metrics of a prediction.

    Args:
        prediction: float32 `[S, S]`: of a segmentation the probability, a pixel above 0.5 is in the mask.
        truth: `[S, S]`: a mask, or an image in [0, 1].
        is_segmentation: which of them.
        extent: what they show along both axes, mm.

    Returns:
        By name, `SEGMENTATION_METRICS` or `IMAGE_METRICS`: `dice` 0 to 1, `hd95` in mm (NaN where there is none),
        `psnr` in dB, `ssim` up to 1.
    """
    with_axes = prediction[None, ..., None], truth[None, ..., None]
    if is_segmentation:
        pixel = extent / truth.shape[-1]
        return {"dice": float(_dice(*with_axes)[0]), "hd95": hd95(prediction > 0.5, truth > 0.5, pixel)}
    return {"psnr": float(_psnr(*with_axes)[0]), "ssim": ssim(prediction, truth)}


def hd95(mask: np.ndarray, other: np.ndarray, pixel: float) -> float:
    """The 95th percentile of the surface distance, the larger one of both directions.

    A mask's surface are its pixels with one of their four neighbours, or the image's end, outside of the mask. From
    each to the nearest one of the other surface it is a distance between centres; of these the percentile is taken,
    interpolated linearly (Maier-Hein et al. 2024, https://doi.org/10.1038/s41592-023-02151-z).

    Args:
        mask: bool `[H, W]`.
        other: likewise.
        pixel: its size, mm.

    Returns:
        mm; 0 where both masks are empty, NaN where one is.
    """
    from scipy.ndimage import binary_erosion
    from scipy.spatial import KDTree

    if not (mask.any() and other.any()):
        return 0.0 if mask.any() == other.any() else float("nan")
    surfaces = [pixel * np.argwhere(one & ~binary_erosion(one)) for one in (mask, other)]
    distances = (KDTree(there).query(here)[0] for here, there in (surfaces, surfaces[::-1]))
    return float(max(np.percentile(distance, 95) for distance in distances))


def ssim(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity of images in [0, 1] `[H, W]`, to which the prediction is clipped.

    As Wang et al. 2004 (https://doi.org/10.1109/TIP.2003.819861): under a Gaussian window of 1.5 pixels, 11 wide.
    """
    from skimage.metrics import structural_similarity

    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(np.clip(prediction, 0, 1), truth, data_range=1.0, **window))
