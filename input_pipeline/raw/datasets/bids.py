"""Scans of your own, named as BIDS does: images, and where there are, whole-brain segmentations and brain masks.

At any depth, `.nii` or `.nii.gz`; parts of a name that are not listed here (`acq-`, `run-`, ...) may stand in between:

    sub-01_T1w.nii.gz               T1w, T2w, PDw, FLAIR; angio is MRA
    sub-01_ses-2_T2w.nii.gz         a session is a subject, `01_2`; those of one person stay in one split
    sub-01_desc-brain_T1w.nii.gz    skull-stripped, taken where the session has no image with its skull
    sub-01_dseg.nii.gz              labels in FreeSurfer's numbers, placed by their own header
    sub-01_desc-brain_mask.nii.gz   brain mask, above 0 inside

Of several images of a modality the one with the fewest parts in its name is taken, then the first. Images of a session
need not lie on one another.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from input_pipeline.prepare.tfds_builder import SliceDataset
from input_pipeline.raw.found_files import discovery, files_under, natural_order, take_first
from input_pipeline.raw.subject import Discovery, RawLabels, RawSubject

NAME = "bids"

MANUAL_DOWNLOAD_INSTRUCTIONS = """\
Name your scans as BIDS does (https://bids.neuroimaging.io): sub-01_T1w.nii.gz, sub-01_T2w.nii.gz, skull-stripped ones
sub-01_desc-brain_T1w.nii.gz, segmentations in FreeSurfer's numbers sub-01_dseg.nii.gz.
"""

_FILE = re.compile(r"sub-([A-Za-z0-9]+)((?:_[a-z]+-[A-Za-z0-9]+)*)_(T1w|T2w|PDw|FLAIR|angio|dseg|mask)\.nii(?:\.gz)?")
_MODALITIES = {"T1w": "T1", "T2w": "T2", "PDw": "PD", "FLAIR": "FLAIR", "angio": "MRA"}


def discover(root: Path) -> Discovery:
    """Find the sessions under `root`; they are named `01`, with a session `01_2`."""
    named = []
    for path in files_under(root):
        if match := _FILE.fullmatch(path.name):
            person, parts, suffix = match.groups()
            entities = dict(part.split("-") for part in parts.split("_")[1:])
            named.append((path, person, entities, suffix))
    named.sort(key=lambda its: (len(its[2]), natural_order(its[0].relative_to(root).as_posix())))

    sessions = defaultdict(lambda: {"images": {}, "brains": {}, "dseg": {}, "mask": {}})
    persons, dropped = {}, {}
    for path, person, entities, suffix in named:
        subject = f"{person}_{entities['ses']}" if "ses" in entities else person
        brain = entities.get("desc") == "brain"
        if suffix == "mask" and not brain:
            continue
        kind = suffix if suffix in ("dseg", "mask") else "brains" if brain else "images"
        name = _MODALITIES.get(suffix, suffix)
        take_first(sessions[subject][kind], name, path, f"{subject}'s {name}", root, dropped)
        persons[subject] = person

    subjects = []
    for subject, files in sessions.items():
        images = files["images"] or files["brains"]
        if not images:
            dropped[subject] = f"no image, expected one of {', '.join(_MODALITIES)}"
            continue
        subjects.append(
            RawSubject(
                dataset=NAME,
                subject=subject,
                person=persons[subject],
                images=_in_order(images),
                labels=tuple(RawLabels(path, "freesurfer") for path in files["dseg"].values()),
                skull_stripped=not files["images"],
                brain_mask=files["mask"].get("mask"),
            )
        )
    return discovery(root, subjects, dropped, "scans that are named as BIDS does, sub-01_T1w.nii.gz")


def _in_order(images: Mapping[str, Path]) -> dict[str, Path]:
    return {modality: images[modality] for modality in _MODALITIES.values() if modality in images}


class Bids(SliceDataset):
    """Scans of your own, named as BIDS does, with segmentations in FreeSurfer's numbers where there are."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = MANUAL_DOWNLOAD_INSTRUCTIONS
    discover = staticmethod(discover)
