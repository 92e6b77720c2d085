"""Made-up lesions: smooth blobs in the white matter or near the cortex, for label maps that show none."""

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from input_pipeline.ops.filters import smooth_field
from input_pipeline.space.tissue_classes import BRAIN_CLASSES, CLASSES

DEFAULTS = {
    "segment_probability": 0.1,  # that a segmentation of a subject without images is of its lesions
    "disturb_probability": 0.1,  # that an image of another task has lesions
    "count": (1, 5),  # in a slice
    "radius": (2.0, 9.0),  # mm
    "near_cortex_probability": 0.3,  # that they lie in the cortex and the white matter, not in the white matter only
    "contrast": (0.12, 0.5),  # difference from white matter, brighter or darker
}

# Lesions that a slice can have, and places that are tried for each.
MOST, _TRIES = 8, 32

# Half of the width in mm in which they are placed.
_REACH = 70.0

_WHITE = CLASSES.index("white_matter")
_CORTEX = CLASSES.index("cortex")
_TISSUE = np.isin(CLASSES, [name for name in BRAIN_CLASSES if name not in ("ventricle", "choroid")])


def lesion_mask(shared_key: jax.Array, own_key: jax.Array, classes: jax.Array, extent: float, config: ConfigDict):
    """Draws the lesions of a slice.

    Args:
        shared_key: random key of the episode; it decides where lesions occur.
        own_key: random key of the image.
        classes: `[H, W]` int32, indices into `CLASSES`.
        extent: width of the slice, mm.
        config: `DEFAULTS`, changed.

    Returns:
        `[H, W]` bool; empty where the slice shows no tissue for them.
    """
    size = classes.shape[0]
    pixel = extent / size
    reach = min(_REACH / pixel, size / 2 - 1)
    for_places, for_sizes, for_edge = jax.random.split(own_key, 3)
    places = (size - 1) / 2 + reach * jax.random.uniform(for_places, (2, MOST, _TRIES), minval=-1, maxval=1)
    rows, columns = jnp.round(places).astype(jnp.int32)
    near_cortex = jax.random.bernoulli(shared_key, config.near_cortex_probability)
    found = classes[rows, columns]
    fits = (found == _WHITE) | (near_cortex & (found == _CORTEX))
    first = jnp.argmax(fits, axis=1)
    row, column = (jnp.take_along_axis(place, first[:, None], 1)[:, 0] for place in places)
    numbers = jax.random.uniform(for_sizes, (3 * MOST + 1,))
    least, most = config.count
    count = least + jnp.floor((most - least + 1) * numbers[-1])
    there = fits.any(1) & (jnp.arange(MOST) < count)
    small, large = config.radius
    radius = small * (large / small) ** numbers[:MOST] / pixel
    along_rows, along_columns = (radius * 0.7 * 2 ** numbers[part : part + MOST] for part in (MOST, 2 * MOST))
    pixels = jnp.arange(size, dtype=jnp.float32)[:, None]
    by_row = there * jnp.exp(-(((pixels - row) / along_rows) ** 2) * np.log(2))
    by_column = jnp.exp(-(((pixels - column) / along_columns) ** 2) * np.log(2))
    level = by_row @ by_column.T
    edge = 0.5 + 0.15 * smooth_field(for_edge, classes.shape, 5.0)
    return (level > jnp.maximum(edge, 0.2)) & jnp.asarray(_TISSUE)[classes]


def lesion_mean(key: jax.Array, means: jax.Array, config: ConfigDict) -> jax.Array:
    """Mean intensity of lesions in a contrast with these `means` of `CLASSES` `[25]`; the key is of the contrast."""
    low, high = config.contrast
    numbers = jax.random.uniform(key, (2,))
    difference = (low + (high - low) * numbers[0]) * jnp.where(numbers[1] < 0.5, -1, 1)
    white = means[_WHITE]
    outside = (white + difference < 0.02) | (white + difference > 0.98)
    return jnp.clip(white + jnp.where(outside, -difference, difference), 0, 1)
