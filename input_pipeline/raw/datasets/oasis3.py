"""OASIS-3: longitudinal MRI of ageing and Alzheimer's disease, 1378 persons, 2842 MR sessions.

Access: OASIS data use agreement, no redistribution. Images are native and not skull-stripped; the modalities of a
session are not registered to each other.

Files: `sub-OAS30001_ses-d0129[_acq-TSE][_run-01]_T1w.nii.gz` (some `sess-d0129`) in every layout:
the download script (`OAS30001_MR_d0129/anat1/`), its BIDS version (`sub-OAS30001/ses-d0129/anat/`), the server's zip
(`OAS30001_MR_d0129/scans/anat1-T1w/resources/{NIFTI,BIDS}/files/`) and its simplified zip (`OAS30001_MR_d0129/anat1/`,
with or without `NIFTI/` and `BIDS/`). The number of `anatN` does not tell the modality.

A subject is an MR session. Of several scans of a modality, the one without `acq-` is preferred (a TSE T2w is another,
anisotropic sequence), then the lowest run. T1w is T1, T2w is T2, angio is MRA; T2star and swi are ignored. A session
may lack T1w. Labels come from the FreeSurfer assessor (`OAS30001_Freesurfer53_d0129`, also 51 and 50; the download
script unpacks it into `OAS30001_MR_d0129/`), aparc+aseg before aseg, on FreeSurfer's own grid.

Old copies hold wrong files for OAS31006_MR_d0120, OAS30008_MR_d1313 and OAS30253_MR_d3948: download these sessions
again.
"""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from input_pipeline.raw.found_files import discovery, take_first
from input_pipeline.raw.subject import Discovery, RawLabels, RawSubject
from neuralizer_jax.files.folder_tree import files_under

NAME = "oasis3"
DESCRIPTION = "OASIS-3: longitudinal MRI of ageing and Alzheimer's disease; T1, T2, FLAIR and MRA."
HOW_TO_GET = """\
Apply for OASIS-3 at https://sites.wustl.edu/oasisbrains/ (data use agreement), then log in to the project OASIS3 at
https://www.nitrc.org/ir. Download the MR sessions' scans T1w, T2w, FLAIR and angio, with the scripts of
https://github.com/NrgXnat/oasis-scripts or as zip, and unpack all archives (also anatN.tar.gz) in one folder.
For labels also download the FreeSurfer assessors, into another sub-folder of it.
"""

_SCAN = re.compile(
    r"sub-(OAS3\d{4})_sess?-(d\d+)(?:_acq-([A-Za-z0-9]+))?(?:_run-(\d+))?(?:_echo-(\d+))?"
    r"_(T1w|T2w|FLAIR|angio|T2star|swi)\.nii(?:\.gz)?"
)
_MODALITIES = {"T1w": "T1", "T2w": "T2", "FLAIR": "FLAIR", "angio": "MRA"}
_SESSION_FOLDER = re.compile(r"(OAS3\d{4})_(?:MR|Freesurfer(\d*)|(\w+))_(d\d+)")
_TABLES = {"0AS_data_files", "OASIS3_data_files"}
_SEGMENTATIONS = ("aparc+aseg.mgz", "aseg.mgz")
_WITHDRAWN = {"OAS30552_d1893", "OAS31159_d1893", "OAS30872_d1277"}

Rank = tuple[str, int, int]  # acquisition, run, echo


def discover(root: Path) -> Discovery:
    """Finds the MR sessions under `root`; subject ids are like `OAS30001_d0129`."""
    # session -> suffix or file name -> rank -> file
    scans: defaultdict[str, defaultdict[str, dict[Rank, Path]]] = defaultdict(lambda: defaultdict(dict))
    freesurfer: defaultdict[str, defaultdict[str, dict[int, Path]]] = defaultdict(lambda: defaultdict(dict))
    dropped: dict[str, str] = {}
    for path in files_under(root):
        folders = path.relative_to(root).parts[:-1]
        matches = [match for folder in folders if (match := _SESSION_FOLDER.fullmatch(folder))]
        sessions = {f"{match[1]}_{match[4]}" for match in matches}
        if _TABLES.intersection(folders) or any(match[3] for match in matches):  # tables, PET or CT
            continue
        if scan := _SCAN.fullmatch(path.name):
            person, day, acquisition, run, echo, suffix = scan.groups()
            session = f"{person}_{day}"
            if session in _WITHDRAWN:
                dropped[session] = "withdrawn by OASIS"
            elif sessions - {session}:
                dropped[path.relative_to(root).as_posix()] = "lies in the folder of another session"
            else:
                rank = acquisition or "", int(run or 0), int(echo or 0)
                take_first(scans[session][suffix], rank, path, f"{session}'s {suffix}", root, dropped)
        elif path.name in (*_SEGMENTATIONS, "brainmask.mgz") and len(sessions) == 1:
            (session,) = sessions
            version = max(int(match[2] or 0) for match in matches)
            take_first(freesurfer[session][path.name], -version, path, f"{session}'s {path.name}", root, dropped)

    subjects = []
    for session, found in scans.items():
        images = {modality: _preferred(found[suffix]) for suffix, modality in _MODALITIES.items() if suffix in found}
        if not images:
            dropped[session] = "no T1w, T2w, FLAIR or angio scan"
            continue
        assessor = {name: _preferred(files) for name, files in freesurfer[session].items()}
        segmentations = [assessor[name] for name in _SEGMENTATIONS if name in assessor]
        subjects.append(
            RawSubject(
                dataset=NAME,
                subject=session,
                person=session.split("_")[0],
                images=images,
                labels=tuple(RawLabels(path, "freesurfer") for path in segmentations[:1]),
                brain_mask=assessor.get("brainmask.mgz"),
            )
        )
    for session in sorted(freesurfer.keys() - scans.keys()):
        dropped.setdefault(session, "FreeSurfer labels without scans")
    return discovery(root, subjects, dropped, "OASIS-3's unpacked files sub-OAS3NNNN_ses-dNNNN_..._T1w.nii.gz")


def _preferred(ranked: dict[Any, Path]) -> Path:
    """The file of the lowest rank."""
    return ranked[min(ranked)]
