"""Task augmentations: random changes of the task itself, for all images of an episode alike, one module each.

Importing the package registers them. They are applied in this order, and several may change one episode: a mask can be
outlined, then dilated, then inverted.
"""

# ruff: noqa: F401, I001
import input_pipeline.ops.task_augmentations.synthetic_modality
import input_pipeline.ops.task_augmentations.intensity_mapping
import input_pipeline.ops.task_augmentations.sobel_filter
import input_pipeline.ops.task_augmentations.mask_part
import input_pipeline.ops.task_augmentations.mask_border
import input_pipeline.ops.task_augmentations.mask_contour
import input_pipeline.ops.task_augmentations.mask_dilation
import input_pipeline.ops.task_augmentations.mask_invert
import input_pipeline.ops.task_augmentations.permute_channels
import input_pipeline.ops.task_augmentations.duplicate_channels

from input_pipeline.ops.registry import TASK_AUGMENTATIONS

__all__ = ["TASK_AUGMENTATIONS"]
