"""ISLES 2022, acute and subacute ischaemic stroke: DWI, ADC and FLAIR of 250 cases with lesion masks.

Access: open, Zenodo doi 10.5281/zenodo.7153326, CC BY-SA 4.0. Images are skull-stripped and native.

Files: `sub-strokecase0001/ses-0001/{dwi,anat}/sub-strokecase0001_ses-0001_{dwi,adc,FLAIR}.nii.gz` (Zenodo), or all in
`rawdata/sub-strokecase0001/ses-0001/` with `flair` in lower case (challenge); masks `..._msk.nii.gz` are under
`derivatives/` in both. DWI, ADC and mask share one grid. FLAIR has another grid, on which the mask is not valid.
The masks of 0150, 0151 and 0170 are empty, because these cases have no lesion: they are kept. The unit of ADC differs
between sites.
"""

import re
from pathlib import Path

from input_pipeline.raw.found_files import discovery, files_by_subject, together
from input_pipeline.raw.subject import Discovery, RawLabels, RawSubject

NAME = "isles2022"
DESCRIPTION = "ISLES 2022: DWI, ADC and FLAIR of ischaemic stroke with lesion masks."
HOW_TO_GET = """\
Download ISLES-2022 from https://doi.org/10.5281/zenodo.7153326 (no login, CC BY-SA 4.0) and unpack it.
"""

_FILE = re.compile(r"(sub-strokecase\d{4})_(ses-\d{4})_(dwi|adc|flair|msk)\.nii(?:\.gz)?")
_MODALITIES = ("DWI", "ADC", "FLAIR")


def discover(root: Path) -> Discovery:
    """Finds the cases under `root`; subject ids are like `sub-strokecase0001_ses-0001`."""
    dropped: dict[str, str] = {}
    subjects = []
    for subject, files in files_by_subject(root, _identify, dropped).items():
        images = {modality: files[modality] for modality in _MODALITIES if modality in files}
        grid = next((modality for modality in ("DWI", "ADC") if modality in images), None)
        if not images:
            dropped[subject] = "lesion mask without image"
            continue
        if "MSK" in files and grid is None:
            dropped[f"{subject} mask"] = "neither DWI nor ADC, whose grid the mask is on"
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


def _identify(path: Path) -> tuple[str, str] | None:
    match = _FILE.fullmatch(path.name.lower())
    return (f"{match[1]}_{match[2]}", match[3].upper()) if match else None
