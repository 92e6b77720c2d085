"""BraTS 2021 (RSNA-ASNR-MICCAI, task 1): gliomas, 1251 labelled cases and 219 validation cases without labels.

Access: Synapse (login, terms) or TCIA (doi 10.7937/jc8x-9874, CC BY 4.0). Images are skull-stripped, zero outside of
the brain, on SRI24's grid of 1 mm and aligned with each other; the header's origin is a stub, not the AC.

`BraTS2021_NNNNN/BraTS2021_NNNNN_{t1,t1ce,t2,flair,seg}.nii.gz` lie in a flat folder (Synapse, Kaggle) or below one
folder a source (TCIA). Kaggle's sample archives repeat the cases 00495 and 00621. Labels are 1 necrotic core, 2 oedema,
4 enhancing tumour; a class may be absent. t1ce, T1 with contrast agent, is left out: it is not among the modalities.
Two patients are in the set twice. BraTS 2023 (`BraTS-GLI-...`) reuses the cases, with 3 for enhancing tumour: refused.
"""

import re
from collections import defaultdict
from pathlib import Path

from input_pipeline.prepare.tfds_builder import SliceDataset
from input_pipeline.raw.found_files import discovery, files_under, take_first, together
from input_pipeline.raw.subject import Discovery, RawLabels, RawSubject

NAME = "brats2021"

MANUAL_DOWNLOAD_INSTRUCTIONS = """\
Download the BraTS 2021 task 1 data, either from https://www.synapse.org (syn51514105, formerly syn25829067; login and
terms) or from TCIA, https://doi.org/10.7937/jc8x-9874 (CC BY 4.0), and unpack all archives in one folder.
"""

_FILE = re.compile(r"(BraTS2021_\d{5})_(t1|t2|flair|seg)\.nii(?:\.gz)?")
_MODALITIES = {"t1": "T1", "t2": "T2", "flair": "FLAIR"}
_OTHER_RELEASE = re.compile(r"BraTS-GLI-.+\.nii(\.gz)?")
_SAME_PATIENT = {"BraTS2021_00639": "BraTS2021_00557", "BraTS2021_00758": "BraTS2021_00626"}


def discover(root: Path) -> Discovery:
    """Find the cases under `root`; subjects are named `BraTS2021_00000`."""
    cases = defaultdict(dict)
    dropped = {}
    for path in files_under(root):
        if match := _FILE.fullmatch(path.name):
            take_first(cases[match[1]], match[2], path, f"{match[1]}'s {match[2]}", root, dropped)
        elif _OTHER_RELEASE.fullmatch(path.name):
            dropped[path.relative_to(root).as_posix()] = "BraTS 2023's naming, where enhancing tumour is 3"

    subjects = []
    for case, files in cases.items():
        images = {modality: files[suffix] for suffix, modality in _MODALITIES.items() if suffix in files}
        if not images:
            dropped[case] = "no t1, t2 or flair image"
            continue
        subjects.append(
            RawSubject(
                dataset=NAME,
                subject=case,
                person=_SAME_PATIENT.get(case, case),
                images=images,
                labels=(RawLabels(files["seg"], "tumour", grid_of=next(iter(images))),) if "seg" in files else (),
                aligned=together(images, *_MODALITIES.values()),
                skull_stripped=True,
            )
        )
    return discovery(root, subjects, dropped, "BraTS 2021's unpacked files BraTS2021_NNNNN_{t1,t2,flair,seg}.nii.gz")


class Brats2021(SliceDataset):
    """BraTS 2021: gliomas, skull-stripped T1, T2 and FLAIR with the tumour's parts."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = MANUAL_DOWNLOAD_INSTRUCTIONS
    discover = staticmethod(discover)
