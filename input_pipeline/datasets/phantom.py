"""The phantom population: made of the MNI152 template that nilearn ships, nothing to download.

Images of every modality are synthesised from warped label maps. Tests and the demo use it.
"""

from pathlib import Path

from input_pipeline.preparation_job import Job
from input_pipeline.prepare_settings import PrepareSettings
from input_pipeline.slice_dataset import SliceDataset
from input_pipeline.synthetic_slices import phantom_jobs

NAME = "phantom"


class Phantom(SliceDataset):
    """The phantom: label maps of warped template brains, and images of every modality synthesised from them."""

    SETTINGS = ("slices", "subjects", "skull_stripped", "seed")

    @classmethod
    def jobs(cls, raw: None, folder: Path, settings: PrepareSettings) -> tuple[list[Job], dict[str, str]]:
        """The subjects of the population."""
        return list(phantom_jobs(settings)), {}
