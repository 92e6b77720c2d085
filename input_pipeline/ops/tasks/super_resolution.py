"""Super-resolution: image of thick slices or large pixels, interpolated to the original grid -> original image.

A slice is the mean of the image over its thickness; slices adjoin. The factors cover clinical scans. Their range is
that of SynthSeg (Billot et al. 2023, https://doi.org/10.1016/j.media.2023.102789): up to 8 mm along one axis, or 4 mm
along all axes.
"""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from input_pipeline.ops.registry import Parameters, Task, register_task
from input_pipeline.ops.tasks.input_channels import input_channels
from input_pipeline.space.coarsening import coarsening

DEFAULTS = {
    # Slice thickness in pixels of 1 mm, if only the rows or only the columns are coarse.
    "factor_one_axis": (3.0, 7.0),
    # Width of the coarse pixels, if both are.
    "factor_both_axes": (2.0, 4.0),
}


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """Samples the factors `[2]` along rows and columns. Coarse are rows, columns or both, with equal probability."""
    axis, one, both = jax.random.split(key, 3)
    axis = jax.random.randint(axis, (), 0, 3)
    one = jax.random.uniform(one, (), jnp.float32, *config.factor_one_axis)
    both = jax.random.uniform(both, (), jnp.float32, *config.factor_both_axes)
    return jnp.where(axis == 2, both, jnp.where(axis == jnp.arange(2), one, 1.0))


def sample_image(key: jax.Array, shared: Parameters, config: ConfigDict) -> Parameters:
    """Samples the centre `[2]` of the first slice along rows and columns, in pixels of the image."""
    return (shared - 1) * jax.random.uniform(key, (2,))


def apply(shared: Parameters, own: Parameters, images: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Input: the coarse image. Output: the image."""
    image = images[..., 0]
    rows, columns = (
        coarsening(length, factor, first, jnp) for length, factor, first in zip(image.shape, shared, own, strict=True)
    )
    return input_channels(jnp.clip(rows @ image @ columns.T, 0, 1)), images[..., :1]


register_task(Task("super_resolution", "image", DEFAULTS, sample, sample_image, apply))
