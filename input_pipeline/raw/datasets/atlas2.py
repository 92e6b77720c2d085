"""ATLAS R2.0: T1-weighted scans after stroke with manual lesion masks; 655 for training, 300 without masks.

Access: form, encrypted archive; redistribution needs an agreement. Images are defaced, not skull-stripped, registered
linearly to MNI152NLin2009aSym, 197 x 233 x 189 voxels of 1 mm.

Files: `{Training,Testing}/R001/sub-r001s001/ses-1/anat/sub-r001s001_ses-1_space-MNI152NLin2009aSym_T1w.nii.gz` and, in
Training, `..._label-L_desc-T1lesion_mask.nii.gz`; npnl's conversion has `data/train/derivatives/ATLAS/sub-r001s001/`.
`label-L` means lesion, not left: one mask covers both hemispheres, above 0 in a lesion. The template in the root is not
a subject. The files of R2.1 raw (`space-orig`) are another product and are ignored.
"""

import re
from pathlib import Path

from input_pipeline.raw.found_files import discovery, files_by_subject
from input_pipeline.raw.subject import Discovery, RawLabels, RawSubject

NAME = "atlas2"
DESCRIPTION = "ATLAS R2.0: T1 scans after stroke with manual lesion masks."
HOW_TO_GET = """\
Fill in the form at https://fcon_1000.projects.nitrc.org/indi/retro/atlas.html for ATLAS R2.0, decrypt with
openssl aes-256-cbc -md sha256 -d -a -in ATLAS_R2.0_encrypted.tar.gz -out ATLAS_R2.0.tar.gz
and unpack it.
"""

_FILE = re.compile(r"(sub-r\d+s\d+)_(ses-\d+)_space-MNI152NLin2009aSym_(T1w|label-L_desc-T1lesion_mask)\.nii(?:\.gz)?")


def discover(root: Path) -> Discovery:
    """Finds the subjects under `root`; their ids are like `sub-r001s001_ses-1`."""
    dropped: dict[str, str] = {}
    subjects = []
    for subject, files in files_by_subject(root, _identify, dropped).items():
        if "T1" not in files:
            dropped[subject] = "lesion mask without T1w image"
            continue
        subjects.append(
            RawSubject(
                dataset=NAME,
                subject=subject,
                person=subject.split("_")[0],
                images={"T1": files["T1"]},
                labels=(RawLabels(files["lesion mask"], "lesion", grid_of="T1"),) if "lesion mask" in files else (),
            )
        )
    return discovery(
        root, subjects, dropped, "ATLAS R2.0's unpacked files sub-rNNNsNNN_ses-1_space-MNI152NLin2009aSym_T1w.nii.gz"
    )


def _identify(path: Path) -> tuple[str, str] | None:
    if match := _FILE.fullmatch(path.name):
        return f"{match[1]}_{match[2]}", "T1" if match[3] == "T1w" else "lesion mask"
    return None
