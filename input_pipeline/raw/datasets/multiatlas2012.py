"""MICCAI 2012 multi-atlas labelling challenge: T1 scans of 15 adults with about 138 regions segmented by hand.

Access: open, packaged as malf.templates; CC BY-NC 3.0. Scans come of the OASIS project, labels of Neuromorphometrics,
Inc. under academic subscription: for evaluation, not for training weights that are given away. Images are
skull-stripped, 1 mm, their origin far from the AC.

`1000_SS.nii.gz` (image), `1000_glm.nii.gz` (labels in Neuromorphometrics' numbers) and `1000_mask.nii.gz` (brain mask)
share one grid.
"""

import re
from collections import defaultdict
from pathlib import Path

from input_pipeline.prepare.tfds_builder import SliceDataset
from input_pipeline.raw.found_files import discovery, files_under, take_first
from input_pipeline.raw.subject import Discovery, RawLabels, RawSubject

NAME = "multiatlas2012"

MANUAL_DOWNLOAD_INSTRUCTIONS = """\
Download the files NNNN_SS.nii.gz, NNNN_glm.nii.gz and NNNN_mask.nii.gz of
https://github.com/muschellij2/malf.templates (no login, CC BY-NC 3.0) into one folder.
"""

_FILE = re.compile(r"(\d{4})_(SS|glm|mask)\.nii(?:\.gz)?")


def discover(root: Path) -> Discovery:
    """Find the subjects under `root`; they are named by their number, `1000` and on."""
    found = defaultdict(dict)
    dropped = {}
    for path in files_under(root):
        if match := _FILE.fullmatch(path.name):
            take_first(found[match[1]], match[2], path, f"{match[1]}'s {match[2]}", root, dropped)

    subjects = []
    for subject, files in found.items():
        if "SS" not in files:
            dropped[subject] = "no image NNNN_SS"
            continue
        subjects.append(
            RawSubject(
                dataset=NAME,
                subject=subject,
                person=subject,
                images={"T1": files["SS"]},
                labels=(RawLabels(files["glm"], "neuromorphometrics", grid_of="T1"),) if "glm" in files else (),
                skull_stripped=True,
                brain_mask=files.get("mask"),
            )
        )
    return discovery(root, subjects, dropped, "the challenge's files NNNN_SS.nii.gz and NNNN_glm.nii.gz")


class Multiatlas2012(SliceDataset):
    """MICCAI 2012 multi-atlas labelling challenge: skull-stripped T1 with about 138 regions drawn by hand."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = MANUAL_DOWNLOAD_INSTRUCTIONS
    discover = staticmethod(discover)
