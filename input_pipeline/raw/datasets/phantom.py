"""The phantom population: made of the MNI152 template that nilearn ships, nothing to download.

Images of every modality are synthesised from warped label maps. Tests and the demo use it.
"""

from pathlib import Path

from input_pipeline.prepare.tfds_builder import SliceDataset
from input_pipeline.slices.from_labelmaps import phantom_jobs
from input_pipeline.slices.job import Job
from input_pipeline.slices.settings import PrepareSettings

NAME = "phantom"


class Phantom(SliceDataset):
    """The phantom: label maps of warped template brains, and images of every modality synthesised from them."""

    SETTINGS = ("slices", "subjects", "skull_stripped", "seed")

    @classmethod
    def jobs(cls, raw: None, folder: Path, settings: PrepareSettings) -> tuple[list[Job], dict[str, str]]:
        """The subjects of the population."""
        return list(phantom_jobs(settings)), {}
