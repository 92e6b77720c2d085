"""WMH Segmentation Challenge 2017: white matter hyperintensities in FLAIR and T1; 60 training and 110 test subjects.

Access: open, DataverseNL doi 10.34894/AECRSD, CC BY-NC 4.0. Images are defaced, not skull-stripped; slices of 3 mm.

`<id>/pre/{FLAIR,T1}.nii.gz` (bias corrected, T1 on FLAIR's grid) and `<id>/wmh.nii.gz` (FLAIR's grid), some mirrors
without `.gz`. The folder of the numbered subjects is `{training,test}/{Utrecht,Singapore}/` or
`{training,test}/Amsterdam/<scanner>/` (scanners GE3T, GE1T5 and `Philips_VU .PETMR_01.`, which unpacking may rename),
`Utrecht/`, `Singapore/` or `GE3T/` before 2022, or `public/`. Ids are unique over all sites.
Not taken: `orig/`, 3DT1 (own grid), the masks in `orig/` (of the face, not of the brain) and the further observers'
annotations (`additional_annotations/.../result.nii.gz`). Label 1 is hyperintensity; 2, other pathology, is drawn
roughly and not kept.
"""

import re
from collections import defaultdict
from pathlib import Path

from input_pipeline.prepare.tfds_builder import SliceDataset
from input_pipeline.raw.found_files import discovery, files_under, take_first, together
from input_pipeline.raw.subject import Discovery, RawLabels, RawSubject

NAME = "wmh2017"

MANUAL_DOWNLOAD_INSTRUCTIONS = """\
Download the WMH Segmentation Challenge data from https://doi.org/10.34894/AECRSD (no login, CC BY-NC 4.0) and unpack
training and test in one folder.
"""

_FILE = re.compile(r".*/(\d{1,3})/(?:pre/(FLAIR|T1)|wmh)\.nii(?:\.gz)?")
_MODALITIES = ("FLAIR", "T1")


def discover(root: Path) -> Discovery:
    """Find the subjects under `root`; they are named by their number, `0` to `169`."""
    found = defaultdict(dict)
    dropped = {}
    for path in files_under(root):
        if match := _FILE.fullmatch(path.absolute().as_posix()):
            subject, kind = str(int(match[1])), match[2] or "wmh"
            take_first(found[subject], kind, path, f"{subject}'s {kind}", root, dropped)

    subjects = []
    for subject, files in found.items():
        images = {modality: files[modality] for modality in _MODALITIES if modality in files}
        if "FLAIR" not in images:
            dropped[subject] = "no pre/FLAIR image"
            continue
        subjects.append(
            RawSubject(
                dataset=NAME,
                subject=subject,
                person=subject,
                images=images,
                labels=(RawLabels(files["wmh"], "lesion", grid_of="FLAIR", keep=(1,)),) if "wmh" in files else (),
                aligned=together(images, *_MODALITIES),
            )
        )
    return discovery(root, subjects, dropped, "the WMH challenge's unpacked files <number>/pre/FLAIR.nii.gz")


class Wmh2017(SliceDataset):
    """WMH Segmentation Challenge 2017: FLAIR and T1 with white matter hyperintensities."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = MANUAL_DOWNLOAD_INSTRUCTIONS
    discover = staticmethod(discover)
