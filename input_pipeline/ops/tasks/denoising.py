"""Denoising and bias correction: image under a smooth multiplicative field and Rician noise -> clean image.

A receive coil's sensitivity is a smooth positive factor, whose logarithm is modelled as in Sled et al. 1998
(https://doi.org/10.1109/42.668698); the magnitude of a signal with normal noise in its real and imaginary part is
Rician (Gudbjartsson and Patz 1995, https://doi.org/10.1002/mrm.1910340618).
"""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from input_pipeline.ops.filters import smooth_field
from input_pipeline.ops.registry import Parameters, Task, register_task
from input_pipeline.ops.tasks.input_channels import input_channels

# Distance over which the field varies, mm.
_SPACING = 80.0

DEFAULTS = {
    # Standard deviation of the field's logarithm.
    "bias": (0.1, 0.35),
    # Standard deviation of the noise, relative to the signal of the bright tissue: 1 / SNR.
    "noise": (0.04, 0.15),
}


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """How strong field and noise are, `bias` and `noise`."""
    bias, noise = jax.random.split(key)
    return {
        "bias": jax.random.uniform(bias, (), jnp.float32, *config.bias),
        "noise": jax.random.uniform(noise, (), jnp.float32, *config.noise),
    }


def sample_image(key: jax.Array, shared: Parameters, config: ConfigDict) -> Parameters:
    """Keys of the image's field and noise, whose size is the image's."""
    field, noise = jax.random.split(key)
    return {"field": field, "noise": noise}


def apply(shared: Parameters, own: Parameters, images: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The image with field and noise, and the image."""
    image = images[..., 0]
    return input_channels(add_noise(shared, own, add_bias(shared, own, image))), images[..., :1]


def add_bias(shared: Parameters, own: Parameters, image: jax.Array) -> jax.Array:
    """An image `[H, W]` in [0, 1] times exp(bias * field).

    The field's mean over the signal is 0, as nobody could tell a gain of the whole image. Where the result exceeds 1 it
    is divided by its maximum: clipped, it would be flat below the coil.
    """
    field = smooth_field(own["field"], image.shape, _SPACING)
    field -= (field * image).sum() / jnp.maximum(image.sum(), 1e-6)
    image = image * jnp.exp(shared["bias"] * field)
    return image / jnp.maximum(image.max(), 1)


def add_noise(shared: Parameters, own: Parameters, image: jax.Array) -> jax.Array:
    """An image `[H, W]` in [0, 1] with Rician noise, clipped to [0, 1]."""
    # The mean weighted with the signal itself: that of bright tissue, however much background there is.
    tissue = (image**2).sum() / jnp.maximum(image.sum(), 1e-6)
    # Complex numbers of variance 1, half of it in the real part.
    noise = jax.random.normal(own["noise"], image.shape, jnp.complex64)
    return jnp.minimum(jnp.abs(image + shared["noise"] * tissue * 2**0.5 * noise), 1)


register_task(Task("denoising", "image", DEFAULTS, sample, sample_image, apply))
