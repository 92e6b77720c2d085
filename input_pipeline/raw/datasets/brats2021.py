"""BraTS 2021 (RSNA-ASNR-MICCAI, task 1): gliomas, 1251 labelled cases and 219 validation cases without labels.

Access: Synapse (login, terms) or TCIA (doi 10.7937/jc8x-9874, CC BY 4.0). Images are skull-stripped, zero outside the
brain, on the SRI24 grid of 1 mm and registered to each other; the header's origin is a placeholder, not the AC.

Files: `BraTS2021_NNNNN/BraTS2021_NNNNN_{t1,t1ce,t2,flair,seg}.nii.gz` in one folder (Synapse, Kaggle) or in one folder
for each source (TCIA). Kaggle's sample archives repeat the cases 00495 and 00621. Labels: 1 necrotic core, 2 oedema,
4 enhancing tumour; a class may be absent. t1ce, T1 with contrast agent, is not one of our modalities and is ignored.
Two patients are in the dataset twice. BraTS 2023 (`BraTS-GLI-...`) reuses the cases with 3 for enhancing tumour and is
dropped.
"""

import re
from pathlib import Path

from input_pipeline.raw.found_files import discovery, files_by_subject, together
from input_pipeline.raw.subject import Discovery, RawLabels, RawSubject

NAME = "brats2021"
DESCRIPTION = "BraTS 2021: gliomas; skull-stripped T1, T2 and FLAIR with labels of the tumour's parts."
HOW_TO_GET = """\
Download the BraTS 2021 task 1 data, either from https://www.synapse.org (syn51514105, formerly syn25829067; login and
terms) or from TCIA, https://doi.org/10.7937/jc8x-9874 (CC BY 4.0), and unpack all archives in one folder.
"""

_FILE = re.compile(r"(BraTS2021_\d{5})_(t1|t2|flair|seg)\.nii(?:\.gz)?")
_MODALITIES = {"t1": "T1", "t2": "T2", "flair": "FLAIR"}
_OTHER_RELEASE = re.compile(r"BraTS-GLI-.+\.nii(\.gz)?")
_SAME_PATIENT = {"BraTS2021_00639": "BraTS2021_00557", "BraTS2021_00758": "BraTS2021_00626"}


def discover(root: Path) -> Discovery:
    """Finds the cases under `root`; subject ids are like `BraTS2021_00000`."""
    dropped: dict[str, str] = {}

    def identify(path: Path) -> tuple[str, str] | None:
        if _OTHER_RELEASE.fullmatch(path.name):
            dropped[path.relative_to(root).as_posix()] = "BraTS 2023's naming, where enhancing tumour is 3"
        match = _FILE.fullmatch(path.name)
        return (match[1], match[2]) if match else None

    subjects = []
    for case, files in files_by_subject(root, identify, dropped).items():
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
