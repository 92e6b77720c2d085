"""Every label has its tissue."""

import numpy as np

from input_pipeline.space.tissue_classes import CLASSES, class_indices


def test_unknown_labels_are_background_and_parcels_are_cortex():
    classes = class_indices(np.array([0, 999, 70000, 1012, 2030, 3, 512]))
    assert [CLASSES[c] for c in classes] == ["background"] * 3 + ["cortex"] * 3 + ["brain_stem"]
