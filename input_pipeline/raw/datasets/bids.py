"""Your own scans, named as in BIDS: images, and if available whole-brain segmentations and brain masks.

At any depth, `.nii` or `.nii.gz`; other parts of a name (`acq-`, `run-`, ...) are allowed in between:

    sub-01_T1w.nii.gz               T1w, T2w, PDw, FLAIR; angio is MRA
    sub-01_ses-2_T2w.nii.gz         a session is a subject, `01_2`; all sessions of a person stay in one split
    sub-01_desc-brain_T1w.nii.gz    skull-stripped, taken if the session has no image with its skull
    sub-01_dseg.nii.gz              labels in FreeSurfer's numbers, on the grid of their own header
    sub-01_desc-brain_mask.nii.gz   brain mask, above 0 inside the brain

Of several images of a modality, the one with the fewest parts in its name is taken, then the first. The images of a
session need not be registered to each other.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from input_pipeline.raw.found_files import discovery, files_under, take_first
from input_pipeline.raw.subject import Discovery, RawLabels, RawSubject
from neuralizer_jax.files.natural_order import natural_order

NAME = "bids"
DESCRIPTION = "Your own scans, named as in BIDS, with or without segmentations in FreeSurfer's numbers."
HOW_TO_GET = """\
Name your scans as in BIDS (https://bids.neuroimaging.io): sub-01_T1w.nii.gz, sub-01_T2w.nii.gz, skull-stripped ones
sub-01_desc-brain_T1w.nii.gz, segmentations in FreeSurfer's numbers sub-01_dseg.nii.gz.
"""

_FILE = re.compile(r"sub-([A-Za-z0-9]+)((?:_[a-z]+-[A-Za-z0-9]+)*)_(T1w|T2w|PDw|FLAIR|angio|dseg|mask)\.nii(?:\.gz)?")
_MODALITIES = {"T1w": "T1", "T2w": "T2", "PDw": "PD", "FLAIR": "FLAIR", "angio": "MRA"}


def discover(root: Path) -> Discovery:
    """Finds the sessions under `root`; their ids are like `01`, or `01_2` with a session."""
    named = []
    for path in files_under(root):
        if match := _FILE.fullmatch(path.name):
            person, parts, suffix = match.groups()
            entities = dict(part.split("-") for part in parts.split("_")[1:])
            named.append((path, person, entities, suffix))
    named.sort(key=lambda its: (len(its[2]), natural_order(its[0].relative_to(root).as_posix())))

    sessions: defaultdict[str, dict[str, dict[str, Path]]] = defaultdict(
        lambda: {"images": {}, "brains": {}, "dseg": {}, "mask": {}}
    )
    persons: dict[str, str] = {}
    dropped: dict[str, str] = {}
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
    return discovery(root, subjects, dropped, "scans named as in BIDS, sub-01_T1w.nii.gz")


def _in_order(images: Mapping[str, Path]) -> dict[str, Path]:
    return {modality: images[modality] for modality in _MODALITIES.values() if modality in images}
