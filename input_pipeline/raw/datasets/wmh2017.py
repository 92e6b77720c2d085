"""WMH Segmentation Challenge 2017: white matter hyperintensities in FLAIR and T1; 60 training and 110 test subjects.

Access: open, DataverseNL doi 10.34894/AECRSD, CC BY-NC 4.0. Images are defaced, not skull-stripped; slices of 3 mm.

Files: `<id>/pre/{FLAIR,T1}.nii.gz` (bias corrected, T1 on FLAIR's grid) and `<id>/wmh.nii.gz` (FLAIR's grid), in some
mirrors without `.gz`. The numbered subjects are in `{training,test}/{Utrecht,Singapore}/` or
`{training,test}/Amsterdam/<scanner>/` (scanners GE3T, GE1T5 and `Philips_VU .PETMR_01.`, which unpacking may rename),
before 2022 in `Utrecht/`, `Singapore/` or `GE3T/`, or in `public/`. Ids are unique over all sites.
Ignored: `orig/`, 3DT1 (another grid), the masks in `orig/` (of the face, not of the brain) and the annotations of
further observers (`additional_annotations/.../result.nii.gz`). Label 1 is hyperintensity; label 2, other pathology, is
drawn roughly and becomes background.
"""

import re
from pathlib import Path

from input_pipeline.raw.found_files import discovery, files_by_subject, together
from input_pipeline.raw.subject import Discovery, RawLabels, RawSubject

NAME = "wmh2017"
DESCRIPTION = "WMH Segmentation Challenge 2017: FLAIR and T1 with white matter hyperintensities."
HOW_TO_GET = """\
Download the WMH Segmentation Challenge data from https://doi.org/10.34894/AECRSD (no login, CC BY-NC 4.0) and unpack
training and test in one folder.
"""

_FILE = re.compile(r".*/(\d{1,3})/(?:pre/(FLAIR|T1)|wmh)\.nii(?:\.gz)?")
_MODALITIES = ("FLAIR", "T1")


def discover(root: Path) -> Discovery:
    """Finds the subjects under `root`; their ids are their numbers, `0` to `169`."""
    dropped: dict[str, str] = {}
    subjects = []
    for subject, files in files_by_subject(root, _identify, dropped).items():
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


def _identify(path: Path) -> tuple[str, str] | None:
    match = _FILE.fullmatch(path.absolute().as_posix())
    return (str(int(match[1])), match[2] or "wmh") if match else None
