"""Images of any modality, synthesised from label maps.

Arrays are volumes or slabs in RAS order `[x, y, z]`, or coronal images `[-z, x]` (`grid.coronal_image`), with voxels of
1 mm. Every function is pure. Properties of the subject are drawn from the seed, properties of the scan from seed and
modality: all images of a subject show the same anatomy, and no image depends on which others are made.
"""

import numpy as np
from scipy.ndimage import binary_fill_holes, gaussian_filter

from input_pipeline.space.random_field import generator, smooth_field
from input_pipeline.space.tissue_classes import BRAIN_CLASSES, CLASSES, SPINAL_CORD, class_indices
from input_pipeline.synthesis.contrasts import class_means, class_spreads

DTI_DIRECTIONS = 17

# Standard deviation of the blur in mm, in-plane and along z (a voxel of w mm blurs by about 0.42 w; FLAIR and diffusion
# scans have thick axial slices); noise relative to the brightest tissue; standard deviation of the log bias field.
_ACQUISITION = {
    "T1": (0.45, 0.45, 0.020, 0.08),
    "T2": (0.45, 0.60, 0.020, 0.08),
    "PD": (0.45, 0.60, 0.020, 0.08),
    "MRA": (0.40, 0.45, 0.025, 0.12),
    "FLAIR": (0.50, 0.90, 0.025, 0.08),
    "ADC": (0.90, 1.10, 0.030, 0.02),
    "DWI": (0.90, 1.10, 0.030, 0.06),
    "DTI": (0.90, 1.00, 0.035, 0.06),
}

# Mean of the brightest visible class.
_BRIGHTEST = 0.85

# Difference of the diffusion signal across and along the fibres, relative to the mean.
_ANISOTROPY = {"white_matter": 0.45, "brain_stem": 0.35, "cerebellum_white": 0.3, "ventral_dc": 0.3, "thalamus": 0.2}


def synthesize_image(
    labels: np.ndarray, modality: str, *, seed: int, skull_stripped: bool = False, direction: int | None = None
) -> np.ndarray:
    """Synthesises an image of a label map.

    Args:
        labels: FreeSurfer labels, 2-D or 3-D.
        modality: one of `MODALITIES`.
        seed: of the subject. Another seed gives another subject on another scanner of the same kind.
        skull_stripped: whether the image is 0 outside of `brain_mask`, and scaled so that the brain fills the range.
        direction: of the diffusion gradient, 0 to 16, for DTI; None for other modalities.

    Returns:
        float32 in [0, 1], of the shape of `labels`.

    Raises:
        ValueError: for an unknown modality, or a direction that does not fit it.
    """
    if direction not in (range(DTI_DIRECTIONS) if modality == "DTI" else (None,)):
        raise ValueError(f"direction is {direction}, expected 0 to {DTI_DIRECTIONS - 1} for DTI, None for the others")
    classes = class_indices(labels)
    means, spreads = class_means(modality), class_spreads(modality)
    subject = generator(seed, "subject")
    scan = generator(seed, "scan", modality)
    shown = [CLASSES.index(name) for name in (*BRAIN_CLASSES, "csf", "artery")] if skull_stripped else slice(None)
    gain = _BRIGHTEST / means[shown].max()

    shift = 0.4 * subject.standard_normal(len(CLASSES)) + 0.3 * scan.standard_normal(len(CLASSES))
    values = np.clip(means + spreads * np.clip(shift, -1, 1), 0, None) ** np.exp(0.06 * scan.standard_normal())
    texture = _texture(subject, classes.shape, (2.5, 12.0)) + 0.5 * _texture(scan, classes.shape, (1.5, 4.0))
    image = values[classes] + 0.7 * spreads[classes] * texture
    if modality == "MRA":
        image = _with_arteries(image, classes, means, subject)
    if direction is not None:
        image = image * _fibre_modulation(classes, direction, subject)

    in_plane, along_z, noise, bias = _ACQUISITION[modality]
    sigma = np.full(classes.ndim, in_plane)
    sigma[0 if classes.ndim == 2 else -1] = along_z
    sigma *= scan.uniform(0.85, 1.3)
    image = gain * gaussian_filter(np.clip(image, 0, None).astype(np.float32), sigma, truncate=3)
    image *= np.exp(bias * smooth_field(scan, classes.shape, 80))
    level = noise * scan.uniform(0.5, 1.3)
    receiver = generator(seed, "noise", modality, direction or 0)
    real, imaginary = (level * _coloured_noise(receiver, classes.shape, sigma) for _ in range(2))
    image = np.hypot(image + real, imaginary) if modality != "ADC" else np.where(classes > 0, image + real, 0)
    if skull_stripped:
        image = np.where(brain_mask(labels), image, 0)
    return np.clip(image, 0, 1).astype(np.float32)


def brain_mask(labels: np.ndarray) -> np.ndarray:
    """The brain as skull-stripping tools define it: tissue, ventricles, and CSF that is enclosed or within about 2 mm.

    Takes FreeSurfer labels, 2-D or 3-D; returns bool of the same shape.
    """
    classes = class_indices(labels)
    brain = np.isin(classes, [CLASSES.index(name) for name in BRAIN_CLASSES]) & (np.asarray(labels) != SPINAL_CORD)
    near = gaussian_filter(brain.astype(np.float32), 3.0, truncate=2) > 0.3
    between = np.isin(classes, [CLASSES.index(name) for name in ("csf", "vein_dura", "artery")])
    mask = brain | (near & between)
    if mask.ndim == 2:
        return binary_fill_holes(mask)
    return np.stack([binary_fill_holes(plane) for plane in np.moveaxis(mask, 1, 0)], axis=1)


def _texture(rng: np.random.Generator, shape: tuple[int, ...], scales: tuple[float, ...]) -> np.ndarray:
    """Random variation with standard deviation 1: the sum of equal parts at several scales (mm)."""
    return sum(smooth_field(rng, shape, scale) for scale in scales) / np.sqrt(len(scales))


def _coloured_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: np.ndarray) -> np.ndarray:
    """Noise with standard deviation 1, correlated as after interpolation of coarse voxels to 1 mm."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    if max(sigma) < 0.75:
        return noise
    noise = gaussian_filter(noise, 0.7 * sigma, truncate=3)
    return noise / noise.std()


def _with_arteries(image: np.ndarray, classes: np.ndarray, means: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Adds small bright spots to the CSF around the brain: branches of the cerebral arteries, 2 to 3 mm wide."""
    spots = smooth_field(rng, classes.shape, 2.2)
    inside = (classes == CLASSES.index("csf")) & (spots > 2.1)
    return np.where(inside, means[CLASSES.index("artery")] * 0.85, image)


def _fibre_modulation(classes: np.ndarray, direction: int, rng: np.random.Generator) -> np.ndarray:
    """Factor on the signal, 1 on average: lower where fibres run along the diffusion direction, higher across it.

    Fibres follow the gradient of the smoothed white matter, from the cortex inwards, bent by a smooth random field. The
    directions are spread evenly over a half sphere (a Fibonacci spiral).
    """
    strength = np.zeros(len(CLASSES), np.float32)
    for name, value in _ANISOTROPY.items():
        strength[CLASSES.index(name)] = value
    white = gaussian_filter((strength[classes] > 0.25).astype(np.float32), 4.0)
    fibres = np.stack(
        [
            (np.gradient(white, axis=axis) if axis < classes.ndim and classes.shape[axis] > 1 else 0)
            + 0.03 * smooth_field(rng, classes.shape, 18)
            for axis in range(3)
        ]
    )
    fibres /= np.sqrt((fibres**2).sum(0)) + 1e-6
    height = (direction + 0.5) / DTI_DIRECTIONS
    angle = direction * np.pi * (3 - np.sqrt(5))
    radius = np.sqrt(1 - height**2)
    cosine = np.tensordot([radius * np.cos(angle), radius * np.sin(angle), height], fibres, axes=1)
    return (1 - strength[classes] * (cosine**2 - 1 / 3)).astype(np.float32)
