"""Images of slices, synthesised from labels: the contrast of a modality or a random one, and how the scan was made.

Slices may be thick (partial volume: the mean over several planes), blurred, noisy, with a bias field, skull-stripped.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from input_pipeline.ops.registry import Parameters
from input_pipeline.ops.task_augmentations.synthetic_modality import acquired, sample_modality
from input_pipeline.space.modalities import MODALITIES
from input_pipeline.space.tissue_classes import BRAIN_CLASSES, CLASSES
from input_pipeline.synthesis.contrasts import class_means, class_spreads

DEFAULTS = {
    # That a modality is replaced by a random contrast (of `task_augmentations.synthetic_modality`), in all images of an
    # episode alike. Images of another modality than the target's are drawn by `context.other_source_probability`.
    "random_contrast_probability": 0.5,
    # That an image's slice thickness, blur, noise, background and skull-stripping are not those of the episode.
    "other_probability": 0.25,
    "thick_probability": 0.5,  # that a slice is thicker than a voxel
    "thickness": (1.0, 6.0),  # mm
    "blur": (0.4, 1.4),  # standard deviation in pixels, along rows and columns; up to 2
    "noise": (0.003, 0.04),  # standard deviation
    "bias": (0.0, 0.15),  # standard deviation of the bias field's logarithm, each image's own
    "dark_background": 0.7,  # probability that the background has no noise
    "stripped_probability": 0.5,  # that everything outside of the brain is 0; never in skull stripping
}

# Planes that a thick slice is the mean of.
_AVERAGED = 3

_MEANS = np.stack([class_means(name) for name in MODALITIES])
_SPREADS = np.stack([class_spreads(name) for name in MODALITIES])
_IN_BRAIN = np.isin(CLASSES, (*BRAIN_CLASSES, "csf", "artery"))

# Mean of the brightest class.
_BRIGHTEST = 0.85


class Scan(NamedTuple):
    """How an image was made.

    Attributes:
        thickness: thickness of the slice, mm; 0 is one voxel.
        blur: `[2]`, standard deviation in pixels.
        noise: standard deviation.
        dark: whether the background is without noise.
        stripped: whether everything outside of the brain is 0.
        bias: standard deviation of the bias field's logarithm.
    """

    thickness: jax.Array
    blur: jax.Array
    noise: jax.Array
    dark: jax.Array
    stripped: jax.Array
    bias: jax.Array


def sample_scan(shared_key: jax.Array, own_key: jax.Array, config: ConfigDict) -> Scan:
    """Samples how an image was made: as the others of the episode, or with `other_probability` in its own way."""
    shared, own = jax.random.uniform(shared_key, (9,)), jax.random.uniform(own_key, (9,))
    numbers = jnp.where(own[8] < config.other_probability, own, shared)

    def between(number: jax.Array, bounds: tuple[float, float]) -> jax.Array:
        return bounds[0] + (bounds[1] - bounds[0]) * number

    return Scan(
        jnp.where(numbers[0] < config.thick_probability, between(numbers[1], config.thickness), 0),
        between(numbers[2:4], config.blur),
        between(numbers[4], config.noise),
        numbers[5] < config.dark_background,
        numbers[6] < config.stripped_probability,
        between(own[7], config.bias),
    )


def plane_offsets(thickness: jax.Array) -> jax.Array:
    """Where the planes lie that a slice is the mean of `[3]`, mm along its normal; the middle one is 0."""
    return thickness / _AVERAGED * (jnp.arange(_AVERAGED) - _AVERAGED // 2)


def contrast(
    number: jax.Array, shared_key: jax.Array, own_key: jax.Array, stripped: jax.Array, config: ConfigDict
) -> tuple[jax.Array, jax.Array]:
    """What the tissues look like in an image.

    Args:
        number: index into `MODALITIES`, or that plus their number for a random contrast.
        shared_key: random key of the episode; it decides the scanner and the random contrasts.
        own_key: random key of the image; it decides the subject.
        stripped: whether the brain alone fills the range of intensities.
        config: of `synthetic_modality`, for the random contrasts.

    Returns:
        Means and standard deviations `[25]` of `CLASSES`; the background is 0.
    """
    key = jax.random.fold_in(shared_key, number)
    modality = number % len(MODALITIES)
    means, spreads = jnp.asarray(_MEANS)[modality], jnp.asarray(_SPREADS)[modality]
    scanner, subject = (jax.random.normal(key, (len(CLASSES) + 1,)) for key in (key, own_key))
    shift = jnp.clip(0.3 * scanner + 0.4 * subject, -1, 1)
    of_modality = jnp.maximum(means + spreads * shift[:-1], 0) ** jnp.exp(0.06 * scanner[-1])
    shown = jnp.where(stripped, jnp.asarray(_IN_BRAIN), True)
    gain = _BRIGHTEST * jnp.exp(0.05 * shift[-1]) / jnp.where(shown, means, 0).max()
    random = sample_modality(jax.random.split(key, 8), config)
    shifted = jnp.clip(random["means"] + config.subject_shift * jnp.clip(subject[:-1] / 2, -1, 1), 0, 1)
    is_random = number >= len(MODALITIES)
    means = jnp.where(is_random, shifted, gain * of_modality).at[0].set(0)
    return means, jnp.where(is_random, random["spreads"], 0.7 * gain * spreads).at[0].set(0)


def synthesize(scan: Scan, keys: jax.Array, mean: jax.Array, spread: jax.Array, background: jax.Array) -> jax.Array:
    """The image `[H, W]` in [0, 1]; `keys` `[4]`, `mean`, `spread` and `background` as `acquired` takes them."""
    modality: Parameters = {"blur": scan.blur, "noise": scan.noise, "dark": scan.dark}
    return acquired(modality, scan.bias, keys, mean, spread, background)
