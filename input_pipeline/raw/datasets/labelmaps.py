"""Label maps without images, in FreeSurfer's numbers: any folder of them, of which images are to be synthesized.

The label maps published with SynthSeg are such a folder. Access and licence are those of the maps. Every `.nii`,
`.nii.gz` or `.mgz` file at any depth is a subject, named by its file name without the ending.
"""

import re
from pathlib import Path

from input_pipeline.prepare.tfds_builder import SliceDataset
from input_pipeline.raw.found_files import discovery, files_under, take_first
from input_pipeline.raw.subject import Discovery, RawLabels, RawSubject
from input_pipeline.slices.from_labelmaps import labelmap_jobs
from input_pipeline.slices.job import Job
from input_pipeline.slices.settings import PrepareSettings

NAME = "labelmaps"

MANUAL_DOWNLOAD_INSTRUCTIONS = """\
Put label maps in FreeSurfer's numbers into one folder, each under a file name of its own and nothing else with them,
for instance data/training_label_maps of https://github.com/BBillot/SynthSeg (no login, Apache 2.0).
"""

_FILE = re.compile(r"(.+)\.(?:nii\.gz|nii|mgz)")


def discover(root: Path) -> Discovery:
    """Find the label maps under `root`; of those of the same name the first is taken."""
    found = {}
    dropped = {}
    for path in files_under(root):
        if match := _FILE.fullmatch(path.name):
            take_first(found, match[1], path, f"the name {match[1]}", root, dropped)

    subjects = [
        RawSubject(dataset=NAME, subject=stem, person=stem, images={}, labels=(RawLabels(path, "freesurfer"),))
        for stem, path in found.items()
    ]
    return discovery(root, subjects, dropped, "label maps, .nii, .nii.gz or .mgz files")


class Labelmaps(SliceDataset):
    """Label maps, and images of every modality synthesised from them."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = MANUAL_DOWNLOAD_INSTRUCTIONS
    SETTINGS = ("slices", "subjects_per_map", "swap_hemispheres", "skull_stripped", "seed")
    discover = staticmethod(discover)

    @classmethod
    def jobs(cls, raw: Path, folder: Path, settings: PrepareSettings) -> tuple[list[Job], dict[str, str]]:
        """The subjects made of each label map."""
        found = discover(raw)
        return list(labelmap_jobs(found.subjects, settings)), found.dropped
