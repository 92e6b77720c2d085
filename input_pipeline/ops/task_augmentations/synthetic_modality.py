"""Replaces an image by one synthesised from the label map, with a random intensity for each class.

As SynthSeg (Billot et al. 2023, https://doi.org/10.1016/j.media.2023.102789), on one slice. All images of an episode
share the class intensities. With `own_probability` each image has its own, so that the context shows another modality
than the target.
"""

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from input_pipeline.ops.filters import gaussian_blur, smooth_field
from input_pipeline.ops.registry import Parameters, TaskAugmentation, register_task_augmentation
from input_pipeline.space.tissue_classes import CLASSES
from neuralizer_jax.errors import InputError

# The largest classes. Their intensities lie in different thirds of the range, so that the brain's structure shows.
_MAIN = np.array([CLASSES.index(name) for name in ("white_matter", "cortex", "csf")])

# Classes whose intensity lies between those of white matter and cortex in most contrasts of real scanners.
_MIXED_NAMES = (
    "thalamus", "caudate", "putamen", "pallidum", "hippocampus", "amygdala", "ventral_dc", "brain_stem",
    "cerebellum_white", "cerebellum_cortex",
)  # fmt: skip
_MIXED = np.array([CLASSES.index(name) for name in _MIXED_NAMES])

# Radius of the blur's kernel in pixels; the largest blur is half of it.
_BLUR_REACH = 4

# Distances in pixels of the nodes of texture and bias field.
_TEXTURE_SCALES = (5.0, 16.0)
_BIAS_SCALE = 80.0

DEFAULTS = {
    "mean": (0.05, 0.95),  # of a class
    # That each image has a modality of its own; never in modality transfer.
    "own_probability": 0.0,
    # That deep grey matter, brain stem and cerebellum lie between white matter and cortex.
    "mixture_probability": 0.0,
    "spread": (0.01, 0.06),  # standard deviation within a class
    "dark_background": 0.9,  # probability
    "blur": (0.5, 1.5),  # standard deviation in pixels, up to 2
    "noise": (0.005, 0.04),  # standard deviation
    "subject_shift": 0.05,  # largest difference of a class's mean from the episode's
    "bias": (0.0, 0.15),  # standard deviation of the bias field's logarithm
}


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """Samples the modality (`sample_modality`).

    Also whether each image has a modality of its own (`each_its_own`), and whether it replaces the second image where a
    task has two (`second`).

    Raises:
        InputError: if the blur can exceed 2 pixels.
    """
    if config.blur[1] > _BLUR_REACH / 2:
        raise InputError(
            f"synthetic_modality.blur is up to {config.blur[1]}, expected at most {_BLUR_REACH // 2} pixels"
        )
    keys = jax.random.split(key, 9)
    return {
        **sample_modality(keys, config),
        "each_its_own": jax.random.bernoulli(keys[8], config.own_probability),
        "second": jax.random.bernoulli(keys[6]),
    }


def sample_modality(keys: jax.Array, config: ConfigDict) -> Parameters:
    """Samples `means` and `spreads` of `CLASSES` `[25]`, `blur` `[2]` in pixels, `noise`, and a `dark` background."""
    low, high = config.mean
    places = jax.random.uniform(keys[0], (len(CLASSES),))
    thirds = jax.random.permutation(keys[1], 3)
    places = places.at[_MAIN].set((thirds + 0.2 + 0.6 * places[_MAIN]) / 3)
    dark = jax.random.bernoulli(keys[2], config.dark_background)
    white, cortex = places[_MAIN[:2]]
    for_mixed, for_shares = jax.random.split(keys[7])
    shares = jax.random.uniform(for_shares, (len(_MIXED),))
    mixed = jax.random.bernoulli(for_mixed, config.mixture_probability)
    places = places.at[_MIXED].set(jnp.where(mixed, white + shares * (cortex - white), places[_MIXED]))
    means = low + (high - low) * places
    spreads = jax.random.uniform(keys[3], (len(CLASSES),), jnp.float32, *config.spread)
    return {
        "means": means.at[0].multiply(1 - dark),
        "spreads": spreads.at[0].multiply(1 - dark),
        "dark": dark,
        "blur": jax.random.uniform(keys[4], (2,), jnp.float32, *config.blur),
        "noise": jax.random.uniform(keys[5], (), jnp.float32, *config.noise),
    }


def sample_image(key: jax.Array, shared: Parameters, config: ConfigDict) -> Parameters:
    """Samples a subject: `shifts` of the class means `[25]`, strength of the `bias` field, key of the random `fields`.

    Also the image's own `modality`, used with `each_its_own`.
    """
    for_shift, for_bias, for_fields, for_modality = jax.random.split(key, 4)
    return {
        "shifts": config.subject_shift * jax.random.uniform(for_shift, (len(CLASSES),), minval=-1, maxval=1),
        "bias": jax.random.uniform(for_bias, (), jnp.float32, *config.bias),
        "fields": for_fields,
        "modality": sample_modality(jax.random.split(for_modality, 8), config),
    }


def apply(shared: Parameters, own: Parameters, images: jax.Array, labels: jax.Array) -> jax.Array:
    """Replaces the first of the images `[H, W, 3]`, or with `second` the second of two, by a synthetic one."""
    used = (images != 0).any((0, 1))
    place = jnp.where(shared["second"] & used[1] & ~used[2], 1, 0)
    # In modality transfer, target and context must show the same modalities.
    each_its_own = shared["each_its_own"] & ~used[1]
    modality = {name: jnp.where(each_its_own, value, shared[name]) for name, value in own["modality"].items()}
    image = synthetic_image(modality, own, labels)
    return jnp.where(jnp.arange(3) == place, image[..., None], images)


def synthetic_image(modality: Parameters, own: Parameters, labels: jax.Array) -> jax.Array:
    """Synthesises an image `[H, W]` float32 in [0, 1] from labels `[H, W]` int32, indices into `CLASSES`."""
    means = class_means(modality, own["shifts"])
    mean, spread = (of.at[labels].get(mode="promise_in_bounds") for of in (means, modality["spreads"]))
    keys = jax.random.split(own["fields"], 4)
    return acquired(modality, own["bias"], keys, mean, spread, labels == 0)


def class_means(modality: Parameters, shifts: jax.Array) -> jax.Array:
    """Means of `CLASSES` `[25]` of a subject whose means differ by `shifts` from the modality's."""
    return jnp.clip(modality["means"] + jnp.where(modality["dark"] & (jnp.arange(len(CLASSES)) == 0), 0, shifts), 0, 1)


def acquired(
    modality: Parameters, bias: jax.Array, keys: jax.Array, mean: jax.Array, spread: jax.Array, background: jax.Array
) -> jax.Array:
    """The image `[H, W]` in [0, 1] of tissue with texture, after blur, bias field and noise.

    Args:
        modality: `blur`, `noise` and `dark` of `sample_modality`.
        bias: strength of the bias field.
        keys: `[4]`, of the fine and the coarse texture, the bias field and the noise.
        mean: `[H, W]`, mean intensity of the tissue of each pixel.
        spread: `[H, W]`, standard deviation of the texture there.
        background: `[H, W]` bool; with `dark`, the image is 0 there.
    """
    shape = mean.shape
    texture = sum(smooth_field(key, shape, scale) for key, scale in zip(keys[:2], _TEXTURE_SCALES, strict=True))
    image = gaussian_blur(mean + spread * (texture / 2**0.5), modality["blur"], _BLUR_REACH)
    image *= jnp.exp(bias * smooth_field(keys[2], shape, _BIAS_SCALE))
    image += modality["noise"] * jax.random.normal(keys[3], shape)
    return jnp.where(background & modality["dark"], 0, jnp.clip(image, 0, 1))


register_task_augmentation(
    TaskAugmentation("synthetic_modality", "images", lambda task: True, DEFAULTS, sample, sample_image, apply)
)
