"""ATLAS R2.0: T1-weighted scans after stroke with lesions drawn by hand; 655 for training, 300 without masks.

Access: form, encrypted archive; no redistribution without agreement. Images are defaced, not skull-stripped, linearly
registered to MNI152NLin2009aSym, 197 x 233 x 189 voxels of 1 mm.

`{Training,Testing}/R001/sub-r001s001/ses-1/anat/sub-r001s001_ses-1_space-MNI152NLin2009aSym_T1w.nii.gz` and, in
Training, `..._label-L_desc-T1lesion_mask.nii.gz`; npnl's conversion has `data/train/derivatives/ATLAS/sub-r001s001/`.
`label-L` is lesion, not left: one mask of both hemispheres, lesion where it is above 0. The root also holds the
template, which is no subject. The files of R2.1 raw (`space-orig`) are another product and are not taken.
"""

import re
from collections import defaultdict
from pathlib import Path

from input_pipeline.prepare.tfds_builder import SliceDataset
from input_pipeline.raw.found_files import discovery, files_under, take_first
from input_pipeline.raw.subject import Discovery, RawLabels, RawSubject

NAME = "atlas2"

MANUAL_DOWNLOAD_INSTRUCTIONS = """\
Fill in the form at https://fcon_1000.projects.nitrc.org/indi/retro/atlas.html for ATLAS R2.0, decrypt with
openssl aes-256-cbc -md sha256 -d -a -in ATLAS_R2.0_encrypted.tar.gz -out ATLAS_R2.0.tar.gz
and unpack it.
"""

_FILE = re.compile(r"(sub-r\d+s\d+)_(ses-\d+)_space-MNI152NLin2009aSym_(T1w|label-L_desc-T1lesion_mask)\.nii(?:\.gz)?")


def discover(root: Path) -> Discovery:
    """Find the subjects under `root`; they are named `sub-r001s001_ses-1`."""
    found = defaultdict(dict)
    dropped = {}
    for path in files_under(root):
        if match := _FILE.fullmatch(path.name):
            subject, kind = f"{match[1]}_{match[2]}", "T1" if match[3] == "T1w" else "lesion mask"
            take_first(found[subject], kind, path, f"{subject}'s {kind}", root, dropped)

    subjects = []
    for subject, files in found.items():
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


class Atlas2(SliceDataset):
    """ATLAS R2.0: T1 after stroke with lesions drawn by hand."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = MANUAL_DOWNLOAD_INSTRUCTIONS
    discover = staticmethod(discover)
