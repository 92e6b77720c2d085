"""Heads for built-in examples: anatomies warped from the phantom, and images of them in any given contrast.

All volumes are on the MNI152 grid (`space.grid`).
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from input_pipeline.space import grid
from input_pipeline.space.random_field import generator, smooth_field
from input_pipeline.space.tissue_classes import CLASSES, class_indices
from input_pipeline.synthesis.anatomy_variation import vary_anatomy
from input_pipeline.synthesis.phantom import phantom_label_map

# Standard deviation of the blur, mm: that of voxels of 1 mm.
_BLUR_MM = 0.45

# Part of the variation within a tissue that is smooth, and what is added for the subject, as shares of the signal.
_TEXTURE = 0.7


def example_labels(number: int) -> np.ndarray:
    """FreeSurfer labels of a head, uint16; each number gives another anatomy."""
    seed = int(generator(number, "example head").integers(2**32))
    return vary_anatomy(phantom_label_map(), seed, range(grid.SHAPE[1])).astype(np.uint16)


def example_image(labels: np.ndarray, means: np.ndarray, spreads: np.ndarray, *, seed: int) -> np.ndarray:
    """A clean image of a head, without noise and bias field; float32, at least 0.

    Args:
        labels: FreeSurfer labels `[X, Y, Z]`.
        means: signal of each of `CLASSES`, `[25]`.
        spreads: its standard deviation between voxels and between subjects, `[25]`.
        seed: of the texture and the subject.
    """
    rng = generator(seed, "example image")
    classes = class_indices(labels)
    shifted = means + 0.4 * spreads * np.clip(rng.standard_normal(len(CLASSES)), -2, 2)
    texture = (smooth_field(rng, classes.shape, 2.5) + smooth_field(rng, classes.shape, 12)) / np.sqrt(2)
    image = shifted.astype(np.float32)[classes] + (_TEXTURE * spreads).astype(np.float32)[classes] * texture
    return gaussian_filter(np.clip(image, 0, None), _BLUR_MM, truncate=3)
