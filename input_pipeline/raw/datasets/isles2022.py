"""ISLES 2022, acute and subacute ischaemic stroke: DWI, ADC and FLAIR of 250 cases with lesion masks.

Access: open, Zenodo doi 10.5281/zenodo.7153326, CC BY-SA 4.0. Images are skull-stripped and native.

`sub-strokecase0001/ses-0001/{dwi,anat}/sub-strokecase0001_ses-0001_{dwi,adc,FLAIR}.nii.gz` (Zenodo), or all in
`rawdata/sub-strokecase0001/ses-0001/` with `flair` in lower case (challenge); masks `..._msk.nii.gz` lie under
`derivatives/` in both. DWI, ADC and mask share one grid. FLAIR has its own, on which the mask is not valid.
The masks of 0150, 0151 and 0170 are empty, cases without lesion: they are kept. ADC units differ between sites.
"""

import re
from collections import defaultdict
from pathlib import Path

from input_pipeline.prepare.tfds_builder import SliceDataset
from input_pipeline.raw.found_files import discovery, files_under, take_first, together
from input_pipeline.raw.subject import Discovery, RawLabels, RawSubject

NAME = "isles2022"

MANUAL_DOWNLOAD_INSTRUCTIONS = """\
Download ISLES-2022 from https://doi.org/10.5281/zenodo.7153326 (no login, CC BY-SA 4.0) and unpack it.
"""

_FILE = re.compile(r"(sub-strokecase\d{4})_(ses-\d{4})_(dwi|adc|flair|msk)\.nii(?:\.gz)?")
_MODALITIES = ("DWI", "ADC", "FLAIR")


def discover(root: Path) -> Discovery:
    """Find the cases under `root`; subjects are named `sub-strokecase0001_ses-0001`."""
    found = defaultdict(dict)
    dropped = {}
    for path in files_under(root):
        if match := _FILE.fullmatch(path.name.lower()):
            subject, kind = f"{match[1]}_{match[2]}", match[3].upper()
            take_first(found[subject], kind, path, f"{subject}'s {kind}", root, dropped)

    subjects = []
    for subject, files in found.items():
        images = {modality: files[modality] for modality in _MODALITIES if modality in files}
        grid = next((modality for modality in ("DWI", "ADC") if modality in images), None)
        if not images:
            dropped[subject] = "lesion mask without image"
            continue
        if "MSK" in files and grid is None:
            dropped[f"{subject} mask"] = "neither DWI nor ADC, on whose grid it is"
        subjects.append(
            RawSubject(
                dataset=NAME,
                subject=subject,
                person=subject.split("_")[0],
                images=images,
                labels=(RawLabels(files["MSK"], "lesion", grid_of=grid),) if "MSK" in files and grid else (),
                aligned=together(images, "DWI", "ADC"),
                skull_stripped=True,
            )
        )
    return discovery(root, subjects, dropped, "ISLES 2022's unpacked files sub-strokecaseNNNN_ses-0001_dwi.nii.gz")


class Isles2022(SliceDataset):
    """ISLES 2022: DWI, ADC and FLAIR of ischaemic stroke with lesion masks."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = MANUAL_DOWNLOAD_INSTRUCTIONS
    discover = staticmethod(discover)
