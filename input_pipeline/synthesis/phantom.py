"""The phantom: a label map of a whole head, made from the MNI152 template that nilearn ships.

It is symmetric like the template (`phantom_brain` inside, `phantom_head` around it). `slices.from_labelmaps` makes
subjects from it by warping. Labels are those of `space.tissue_classes`.
"""

from functools import lru_cache

import numpy as np

from input_pipeline.synthesis.phantom_brain import brain_labels
from input_pipeline.synthesis.phantom_head import head_labels


@lru_cache(maxsize=1)
def phantom_label_map() -> np.ndarray:
    """The label map on the MNI152 grid (`space.grid`), read-only uint16. The first call takes some seconds."""
    labels = head_labels(brain_labels()).astype(np.uint16)
    labels.flags.writeable = False
    return labels
