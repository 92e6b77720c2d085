"""A population of heads made of nothing but the MNI152 template that nilearn ships.

One label map (`phantom_brain` inside, `phantom_head` around it), symmetric as the template is, of which
`synthetic_slices` makes subjects by warping. The labels are those of `contrast_table`.
"""

from functools import lru_cache

import numpy as np

from input_pipeline.space import grid
from input_pipeline.space.random_field import generator
from input_pipeline.synthesis.phantom_brain import brain_labels
from input_pipeline.synthesis.phantom_head import head_labels


@lru_cache(maxsize=1)
def phantom_label_map() -> tuple[np.ndarray, np.ndarray]:
    """The label map, read-only uint16 on the grid of `grid`, and its affine. Takes some seconds once a process."""
    labels = head_labels(brain_labels()).astype(np.uint16)
    affine = grid.AFFINE.copy()
    for array in (labels, affine):
        array.flags.writeable = False
    return labels, affine


def subject_seed(seed: int, index: int) -> int:
    """The seed of a subject of the population of `seed`."""
    return int(generator(seed, "population", index).integers(2**32))
