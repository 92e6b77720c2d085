"""Denoising and bias correction: image with a smooth multiplicative bias field and Rician noise -> clean image.

The sensitivity of a receive coil is a smooth positive factor; its logarithm is a smooth field as in Sled et al. 1998
(https://doi.org/10.1109/42.668698). Normal noise in the real and the imaginary part of a signal gives a Rician
magnitude (Gudbjartsson and Patz 1995, https://doi.org/10.1002/mrm.1910340618).
"""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from input_pipeline.ops.filters import smooth_field
from input_pipeline.ops.registry import Parameters, Task, register_task
from input_pipeline.ops.tasks.input_channels import input_channels

# Distance of the nodes of the bias field, mm.
_SPACING = 80.0

DEFAULTS = {
    # Standard deviation of the field's logarithm.
    "bias": (0.1, 0.35),
    # Standard deviation of the noise over the signal of bright tissue: 1 / SNR.
    "noise": (0.04, 0.15),
}


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """Strength of bias field and noise: `bias`, `noise`."""
    bias, noise = jax.random.split(key)
    return {
        "bias": jax.random.uniform(bias, (), jnp.float32, *config.bias),
        "noise": jax.random.uniform(noise, (), jnp.float32, *config.noise),
    }


def sample_image(key: jax.Array, shared: Parameters, config: ConfigDict) -> Parameters:
    """Random keys of bias field and noise, `field` and `noise`: their size is known in `apply` only."""
    field, noise = jax.random.split(key)
    return {"field": field, "noise": noise}


def apply(shared: Parameters, own: Parameters, images: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Input: the image with bias field and noise. Output: the image."""
    image = images[..., 0]
    return input_channels(add_noise(shared, own, add_bias(shared, own, image))), images[..., :1]


def add_bias(shared: Parameters, own: Parameters, image: jax.Array) -> jax.Array:
    """Multiplies an image `[H, W]` in [0, 1] by exp(bias * field).

    The mean of the field over the signal is 0, because a gain of the whole image cannot be recovered. A result above 1
    is divided by its maximum; clipping would make it flat next to the coil.
    """
    field = smooth_field(own["field"], image.shape, _SPACING)
    field -= (field * image).sum() / jnp.maximum(image.sum(), 1e-6)
    image = image * jnp.exp(shared["bias"] * field)
    return image / jnp.maximum(image.max(), 1)


def add_noise(shared: Parameters, own: Parameters, image: jax.Array) -> jax.Array:
    """Adds Rician noise to an image `[H, W]` in [0, 1] and clips it to [0, 1]."""
    # The signal's mean weighted by the signal: the intensity of bright tissue, however large the background.
    tissue = (image**2).sum() / jnp.maximum(image.sum(), 1e-6)
    # Complex normal noise of variance 1: half in the real part, half in the imaginary part.
    noise = jax.random.normal(own["noise"], image.shape, jnp.complex64)
    return jnp.minimum(jnp.abs(image + shared["noise"] * tissue * 2**0.5 * noise), 1)


register_task(Task("denoising", "image", DEFAULTS, sample, sample_image, apply))
