"""The tasks that an episode can show, one module each. Importing the package registers them all, in this order."""

# ruff: noqa: F401, I001
import input_pipeline.tasks.binary_segmentation
import input_pipeline.tasks.skull_stripping
import input_pipeline.tasks.modality_transfer
import input_pipeline.tasks.super_resolution
import input_pipeline.tasks.motion_correction
import input_pipeline.tasks.undersampled_reconstruction
import input_pipeline.tasks.denoising
import input_pipeline.tasks.inpainting
import input_pipeline.tasks.two_modality_transfer

from input_pipeline.operations import TASKS

__all__ = ["TASKS"]
