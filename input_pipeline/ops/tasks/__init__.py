"""The tasks that an episode can show, one module each. Importing the package registers them in this order."""

# ruff: noqa: F401, I001
import input_pipeline.ops.tasks.binary_segmentation
import input_pipeline.ops.tasks.skull_stripping
import input_pipeline.ops.tasks.modality_transfer
import input_pipeline.ops.tasks.super_resolution
import input_pipeline.ops.tasks.motion_correction
import input_pipeline.ops.tasks.undersampled_reconstruction
import input_pipeline.ops.tasks.denoising
import input_pipeline.ops.tasks.inpainting
import input_pipeline.ops.tasks.two_modality_transfer

from input_pipeline.ops.registry import TASKS

__all__ = ["TASKS"]
