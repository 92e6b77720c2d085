"""Label maps in FreeSurfer's numbers, without images: images are synthesised from them.

Any folder of label maps will do, for instance the maps published with SynthSeg; access and licence are those of the
maps. Every `.nii`, `.nii.gz` or `.mgz` file at any depth is a subject, named by its file name without the ending.
"""

import re
from pathlib import Path

from input_pipeline.raw.found_files import discovery, files_under, take_first
from input_pipeline.raw.subject import Discovery, RawLabels, RawSubject

NAME = "labelmaps"
DESCRIPTION = "Any folder of label maps, and images of every modality synthesised from them."
HOW_TO_GET = """\
Put label maps in FreeSurfer's numbers into one folder, each under a file name of its own and nothing else with them,
for instance data/training_label_maps of https://github.com/BBillot/SynthSeg (no login, Apache 2.0).
"""

_FILE = re.compile(r"(.+)\.(?:nii\.gz|nii|mgz)")


def discover(root: Path) -> Discovery:
    """Finds the label maps under `root`; of several with the same name, the first is taken."""
    found: dict[str, Path] = {}
    dropped: dict[str, str] = {}
    for path in files_under(root):
        if match := _FILE.fullmatch(path.name):
            take_first(found, match[1], path, f"the name {match[1]}", root, dropped)

    subjects = [
        RawSubject(dataset=NAME, subject=stem, person=stem, images={}, labels=(RawLabels(path, "freesurfer"),))
        for stem, path in found.items()
    ]
    return discovery(root, subjects, dropped, "label maps, .nii, .nii.gz or .mgz files")
