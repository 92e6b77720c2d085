"""Hammers n30r95: T1 images of 30 healthy adults (20 to 54 years) with 95 regions segmented by hand.

Access: web form, free academic licence with acknowledgement, no redistribution. Images are native, about 0.94 mm, not
skull-stripped; the field of view ends at the base of the cerebellum.

Files: `a01.nii.gz` with `a01-seg.nii.gz` in one folder (`Hammers_mith-n30r95/`, `HABAD-n30r95/`), or `a01.nii.gz` of
`Hammers-MRIs-n30.tar` with `a01_IFHW_r95_zy.nii.gz` of `Hammers-labelsets-n30r95.tar`. A label map matches its T1
voxel by voxel although its header is shifted by centimetres, so it takes the T1's grid. Odd labels are right and even
ones left, except for the midline structures 19, 44 and 49. Releases with another number of regions (n30r83; n30r120,
`sub-01_space-orig_dseg.nii.gz`) use other numbers and are dropped.
"""

import re
from pathlib import Path

from input_pipeline.raw.found_files import discovery, files_by_subject
from input_pipeline.raw.subject import Discovery, RawLabels, RawSubject

NAME = "hammers"
DESCRIPTION = "Hammers n30r95: T1 scans of healthy adults with 95 regions segmented by hand."
HOW_TO_GET = """\
Fill in the form at https://brain-development.org/brain-atlases/adult-brain-atlases/individual-adult-brain-atlases-new/
for "Adult individual atlases (30 MR images and manual segmentations)", release n30r95, and unpack images and label
sets in one folder.
"""

_FILE = re.compile(r"(a(?:0[1-9]|[12]\d|30))(-seg|_IFHW_r95_zy)?\.nii(?:\.gz)?")
_OTHER_RELEASE_FILE = re.compile(r"sub-\d\d_space-orig_dseg\.nii(\.gz)?")
_OTHER_RELEASE_FOLDER = re.compile(r"n30r(?:83|120)(?!\d)")


def discover(root: Path) -> Discovery:
    """Finds the subjects under `root`; their ids are `a01` to `a30`."""
    dropped: dict[str, str] = {}

    def identify(path: Path) -> tuple[str, str] | None:
        name = path.relative_to(root).as_posix()
        if _OTHER_RELEASE_FILE.fullmatch(path.name) or _OTHER_RELEASE_FOLDER.search(f"{root.absolute().name}/{name}"):
            dropped[name] = "of a release other than n30r95"
            return None
        match = _FILE.fullmatch(path.name)
        return (match[1], "labels" if match[2] else "T1") if match else None

    subjects = []
    for subject, files in files_by_subject(root, identify, dropped).items():
        if "T1" not in files:
            dropped[subject] = "label map without T1 image"
            continue
        subjects.append(
            RawSubject(
                dataset=NAME,
                subject=subject,
                person=subject,
                images={"T1": files["T1"]},
                labels=(RawLabels(files["labels"], "hammers", grid_of="T1"),) if "labels" in files else (),
            )
        )
    return discovery(
        root,
        subjects,
        dropped,
        "Hammers n30r95's unpacked files a01.nii.gz and a01-seg.nii.gz or a01_IFHW_r95_zy.nii.gz",
    )
