"""Task augmentations: random changes of the task itself, the same for all images of an episode, one module each.

Importing the package registers them all, in this order, in which they are applied too. Several can fall on one episode:
a mask may be inverted, then outlined, then dilated.
"""

# isort: off
from input_pipeline.task_augmentations import synthetic_modality as _synthetic_modality
from input_pipeline.task_augmentations import intensity_mapping as _intensity_mapping
from input_pipeline.task_augmentations import sobel_filter as _sobel_filter
from input_pipeline.task_augmentations import mask_invert as _mask_invert
from input_pipeline.task_augmentations import mask_contour as _mask_contour
from input_pipeline.task_augmentations import mask_dilation as _mask_dilation
from input_pipeline.task_augmentations import permute_channels as _permute_channels
from input_pipeline.task_augmentations import duplicate_channels as _duplicate_channels

# isort: on
from input_pipeline.operations import TASK_AUGMENTATIONS

__all__ = ["TASK_AUGMENTATIONS"]
