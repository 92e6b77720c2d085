"""MICCAI 2012 multi-atlas labelling challenge: T1 scans of 15 adults with about 138 regions segmented by hand.

Access: open, packaged as malf.templates; CC BY-NC 3.0. Scans are from the OASIS project; labels are from
Neuromorphometrics, Inc. under academic subscription. Use them for evaluation, not for training weights to give away.
Images are skull-stripped, 1 mm, with the origin far from the AC.

Files: `1000_SS.nii.gz` (image), `1000_glm.nii.gz` (labels in Neuromorphometrics' numbers) and `1000_mask.nii.gz`
(brain mask) share one grid.
"""

import re
from pathlib import Path

from input_pipeline.raw.found_files import discovery, files_by_subject
from input_pipeline.raw.subject import Discovery, RawLabels, RawSubject

NAME = "multiatlas2012"
DESCRIPTION = "MICCAI 2012 multi-atlas challenge: skull-stripped T1 scans with about 138 regions segmented by hand."
HOW_TO_GET = """\
Download the files NNNN_SS.nii.gz, NNNN_glm.nii.gz and NNNN_mask.nii.gz of
https://github.com/muschellij2/malf.templates (no login, CC BY-NC 3.0) into one folder.
"""

_FILE = re.compile(r"(\d{4})_(SS|glm|mask)\.nii(?:\.gz)?")


def discover(root: Path) -> Discovery:
    """Finds the subjects under `root`; their ids are their numbers, `1000` and on."""
    dropped: dict[str, str] = {}
    subjects = []
    for subject, files in files_by_subject(root, _identify, dropped).items():
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


def _identify(path: Path) -> tuple[str, str] | None:
    match = _FILE.fullmatch(path.name)
    return (match[1], match[2]) if match else None
