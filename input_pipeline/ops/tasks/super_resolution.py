"""Super-resolution: image of thick slices or large pixels, interpolated back -> original.

A slice is the mean of the image over its thickness, and slices adjoin. Factors cover what is common in clinical scans;
the range is that of SynthSeg (Billot et al. 2023, https://doi.org/10.1016/j.media.2023.102789): up to 8 mm along one
axis, to 4 mm along all.
"""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from input_pipeline.ops.registry import Parameters, Task, register_task
from input_pipeline.ops.tasks.input_channels import input_channels

DEFAULTS = {
    # Slice thickness in pixels of the image (1 mm), where only the rows or only the columns are coarse.
    "factor_one_axis": (3.0, 7.0),
    # Width of the coarse pixels where both are.
    "factor_both_axes": (2.0, 4.0),
}


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """Factors `[2]` along rows and columns; in a third of the episodes each: rows, columns, both."""
    axis, one, both = jax.random.split(key, 3)
    axis = jax.random.randint(axis, (), 0, 3)
    one = jax.random.uniform(one, (), jnp.float32, *config.factor_one_axis)
    both = jax.random.uniform(both, (), jnp.float32, *config.factor_both_axes)
    return jnp.where(axis == 2, both, jnp.where(axis == jnp.arange(2), one, 1.0))


def sample_image(key: jax.Array, shared: Parameters, config: ConfigDict) -> Parameters:
    """Centre `[2]` of the first slice along rows and columns, in pixels of the image."""
    return (shared - 1) * jax.random.uniform(key, (2,))


def apply(shared: Parameters, own: Parameters, images: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The coarse image and the image."""
    image = images[..., 0]
    rows, columns = (
        coarsening(length, factor, first) for length, factor, first in zip(image.shape, shared, own, strict=True)
    )
    return input_channels(jnp.clip(rows @ image @ columns.T, 0, 1)), images[..., :1]


def coarsening(length: int, factor: jax.Array, first: jax.Array) -> jax.Array:
    """Matrix `[length, length]` float32 that replaces samples by means over slices, interpolated linearly.

    Args:
        length: number of samples.
        factor: thickness of a slice and distance of the slices in samples, at least 1; 1 with `first` 0 is the
            identity.
        first: where the centre of a slice lies, samples.
    """
    places = jnp.arange(length, dtype=jnp.float32)
    slices = (places - first) / factor
    before = jnp.floor(slices)

    def means(index: jax.Array) -> jax.Array:
        centres = jnp.clip(first + index * factor, 0, length - 1)
        # How much of each pixel is in the slice.
        overlap = jnp.clip((factor + 1) / 2 - jnp.abs(places - centres[:, None]), 0, 1)
        return overlap / overlap.sum(1, keepdims=True)

    after = (slices - before)[:, None]
    return (1 - after) * means(before) + after * means(before + 1)


register_task(Task("super_resolution", "image", DEFAULTS, sample, sample_image, apply))
