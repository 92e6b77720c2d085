"""Your own scans, named as in BIDS: images, and if available whole-brain segmentations and brain masks.

At any depth, in each format that is read; other parts of a name (`acq-`, `run-`, ...) are allowed in between:

    sub-01_T1w.nii.gz               T1w, T2w, PDw, FLAIR; angio is MRA
    sub-01_ses-2_T2w.nii.gz         a session is a subject, `01_2`; all sessions of a person stay in one split
    sub-01_desc-brain_T1w.nii.gz    skull-stripped, taken if the session has no image with its skull
    sub-01_dseg.nii.gz              labels in FreeSurfer's numbers, on the grid of their own header
    sub-01_desc-brain_mask.nii.gz   brain mask, above 0 inside the brain

Of several files, these are taken:

* Raw files before those in `derivatives/`, and these before those in `sourcedata/`.
* Of images: those in the space of the subject, or all those in one other space; with their skull; of a modality the
  one that a label map belongs to, then the one with the fewest parts in its name, then the first. Never `part-phase`,
  `part-real` or `part-imag`.
* Of label maps and brain masks: those that belong to the image of the preferred modality: in its space, without other
  parts (`acq-`, `run-`, ...) than it has, and made from it if the JSON file beside the map names sources. Then label
  maps known to have FreeSurfer's numbers, by their name (`desc-aseg`, `desc-aparcaseg`) or by their table (`.tsv`).

Every other file that looks like an image is dropped with the reason. The images of a session need not be registered to
each other.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from input_pipeline.raw.derivatives import files_beside
from input_pipeline.raw.found_files import discovery, one_line_a_folder, readable_id, volumes_among
from input_pipeline.raw.label_numbers import numbers_by_name, read_table
from input_pipeline.raw.subject import Discovery, RawLabels, RawSubject
from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.bids_name import BidsName, name_of_file
from neuralizer_jax.files.bids_sidecars import find_table, sources_of
from neuralizer_jax.files.folder_tree import files_under
from neuralizer_jax.files.natural_order import natural_order

NAME = "bids"
DESCRIPTION = "Your own scans, named as in BIDS, with or without segmentations in FreeSurfer's numbers."
HOW_TO_GET = """\
Name your scans as in BIDS (https://bids.neuroimaging.io): sub-01_T1w.nii.gz, sub-01_T2w.nii.gz, skull-stripped ones
sub-01_desc-brain_T1w.nii.gz, segmentations in FreeSurfer's numbers sub-01_dseg.nii.gz.
"""

# Suffix -> modality, the preferred reference image first.
_MODALITIES = {"T1w": "T1", "T2w": "T2", "PDw": "PD", "FLAIR": "FLAIR", "angio": "MRA"}
_SUFFIXES = {suffix.lower(): suffix for suffix in (*_MODALITIES, "dseg", "mask")}
_ORIGINS = ("raw", "derivatives", "sourcedata")


@dataclass(frozen=True)
class _File:
    """A file, its place under the dataset's folder, the name without its ending, and the name in parts."""

    path: Path
    place: str
    stem: str
    name: BidsName

    @property
    def rank(self) -> tuple:
        """Sort key: raw files first, then those with few parts in their name."""
        folders = self.place.split("/")[:-1]
        origin = max((_ORIGINS.index(folder) for folder in folders if folder in _ORIGINS[1:]), default=0)
        return (
            origin,
            len(self.name.image) + sum(key in self.name.entities for key in _DERIVED),
            natural_order(self.place),
        )

    @cached_property
    def sources(self) -> list[BidsName]:
        """The images that it was made from, as far as they are known."""
        return [name for name in sources_of(self.path, self.stem) if name.suffix in _MODALITIES]

    @property
    def stripped(self) -> bool:
        return "brain" in self.name.entities.get("desc", "").split("+")


_DERIVED = ("space", "desc", "res", "den", "label", "seg", "atlas")


def discover(root: Path) -> Discovery:
    """Finds the sessions under `root`; their ids are like `01`, or `01_2` with a session."""
    dropped: dict[str, str] = {}
    unused: dict[str, str] = {}
    sessions: defaultdict[tuple[str, str], list[_File]] = defaultdict(list)
    files = files_under(root, dropped)
    for path, stem in volumes_among(files, root, dropped):
        place = path.relative_to(root)
        try:
            name = name_of_file(place, stem)
            file = _File(path, place.as_posix(), stem, BidsName(name.entities, _suffix(name)))
            sessions[name.entities["sub"], name.entities.get("ses", "")].append(file)
        except InputError as error:
            unused[place.as_posix()] = str(error)
    _move_to_only_session(sessions)

    tables: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in files:
        if path.name.endswith("dseg.tsv"):
            tables[path.parent].append(path)
    subjects = []
    for (person, session), own in sessions.items():
        try:
            subject = readable_id(f"{person}_{session}" if session else person)
            subjects.append(_subject(subject, person, sorted(own, key=lambda file: file.rank), tables, unused))
        except InputError as error:
            dropped[f"{person}_{session}" if session else person] = str(error)
    # Segmentations and masks beside an image, which are found by its name.
    for image in [path for found in subjects for path in found.images.values()]:
        for beside in files_beside(image):
            listed = [its for file in beside if (its := file.relative_to(root).as_posix()) in unused]
            for taken in listed[:1]:
                del unused[taken]
    return discovery(root, subjects, dropped | one_line_a_folder(unused), "scans named as in BIDS, sub-01_T1w.nii.gz")


def _suffix(name: BidsName) -> str:
    """The suffix as BIDS writes it. Raises InputError with the reason if the file is of no use."""
    suffix = _SUFFIXES.get(name.suffix.lower())
    part, side = name.entities.get("part"), name.entities.get("hemi")
    if suffix is None:
        raise InputError(f"has the suffix {one_line(name.suffix)}, expected one of {', '.join(_SUFFIXES.values())}")
    if part not in (None, "mag"):
        raise InputError(f"shows the {part} of the signal (part-{part}), expected its magnitude")
    if side:
        raise InputError(f"shows one hemisphere (hemi-{side}), expected both")
    if suffix == "mask" and "brain" not in (name.entities.get("desc"), name.entities.get("label")):
        raise InputError("is not a brain mask by its name, expected desc-brain_mask")
    if suffix == "dseg" and numbers_by_name(name) is False:
        raise InputError("has the numbers of an atlas by its name (seg-, atlas-), expected FreeSurfer's")
    return suffix


def _move_to_only_session(sessions: dict[tuple[str, str], list[_File]]) -> None:
    """Gives derivatives without a session to the session of a person who has images in one alone."""
    for person in [person for person, session in sessions if not session]:
        if not any(file.name.suffix in _MODALITIES for file in sessions[person, ""]):
            others = [session for other, session in sessions if other == person and session]
            if len(others) == 1:
                sessions[person, others[0]] += sessions.pop((person, ""))


def _subject(
    subject: str, person: str, files: Sequence[_File], tables: Mapping[Path, Sequence[Path]], unused: dict[str, str]
) -> RawSubject:
    """Chooses the files of a session; the others go to `unused`. Raises InputError if it has no image."""
    by_suffix = {suffix: [file for file in files if file.name.suffix == suffix] for suffix in _SUFFIXES.values()}
    maps, masks = by_suffix["dseg"], by_suffix["mask"]
    all_images = [file for suffix in _MODALITIES for file in by_suffix[suffix]]
    if not all_images:
        raise InputError(f"no image, expected one of {', '.join(_MODALITIES)}")

    # One space, with skull or without.
    space = min((file.rank[0], file.name.space not in ("", *_MODALITIES), file.name.space) for file in all_images)[2]
    spaces = ("", *_MODALITIES) if space in ("", *_MODALITIES) else (space,)
    inside = [file for file in all_images if file.name.space in spaces]
    stripped = all(file.stripped for file in inside)
    for file in all_images:
        if file not in inside:
            unused[file.place] = f"lies in {_space(file)}, images in {_space(inside[0])} are taken"
        elif file.stripped and not stripped:
            unused[file.place] = "is skull-stripped, the images with their skull are taken"

    images: dict[str, _File] = {}
    chosen: dict[str, str] = {}
    for suffix, modality in _MODALITIES.items():
        files = [file for file in by_suffix[suffix] if file.place not in unused]
        if files:
            if not images:  # label maps are those of the first image
                files.sort(key=lambda f: (f.rank[0], all(_other_image(its, f, suffix) for its in maps)))
            images[modality] = files[0]
            chosen[modality] = f"{files[0].place}, one of {len(files)}" if len(files) > 1 else files[0].place
            unused |= {
                file.place: f"second file of {subject}'s {modality}, {files[0].place} is taken" for file in files[1:]
            }

    # Label map and brain mask of the first image.
    suffix, image = next((suffix, images[m]) for suffix, m in _MODALITIES.items() if m in images)
    fitting: list[tuple[bool, _File, RawLabels, str]] = []
    for file in [*maps, *masks]:
        if reason := _other_image(file, image, suffix):
            unused[file.place] = reason
    for file in maps:
        if file.place not in unused:
            try:
                labels, why = _labels(file, tables)
                fitting.append((not why, file, labels, why or "FreeSurfer's numbers are assumed"))
            except InputError as error:
                unused[file.place] = str(error)
    fitting.sort(key=lambda its: (its[1].rank[0], its[0], its[1].rank))
    for _, file, _, why in fitting[:1]:
        chosen["labels"] = f"{file.place}, {why}"
    unused |= {
        file.place: f"second label map of {subject}, {fitting[0][1].place} is taken" for _, file, *_ in fitting[1:]
    }
    masks = [file for file in masks if file.place not in unused]
    for file in masks[:1]:
        chosen["brain mask"] = file.place
    unused |= {file.place: f"second brain mask of {subject}, {masks[0].place} is taken" for file in masks[1:]}

    return RawSubject(
        dataset=NAME,
        subject=subject,
        person=person,
        images={modality: file.path for modality, file in images.items()},
        labels=tuple(labels for _, _, labels, _ in fitting[:1]),
        skull_stripped=stripped,
        brain_mask=masks[0].path if masks else None,
        chosen=chosen,
    )


def _other_image(derivative: _File, image: _File, suffix: str) -> str:
    """Why a label map or mask is not that of an image; empty if it is."""
    space = derivative.name.space
    if space != image.name.space and not {space, image.name.space} <= {"", suffix}:
        return f"lies in {_space(derivative)}, the image taken in {_space(image)}"
    if any(image.name.image.get(key) != label for key, label in derivative.name.image.items()):
        return "belongs to another image than the one taken, by its name"
    if derivative.sources and not any(_made_from(name, image, suffix) for name in derivative.sources):
        return "was made from another image than the one taken, as its JSON file says"
    return ""


def _space(file: _File) -> str:
    return f"the space {file.name.space}" if file.name.space else "the subject's own space"


def _made_from(source: BidsName, image: _File, suffix: str) -> bool:
    """Whether a source is an image, or was made from it."""
    own = image.name.entities
    same = all(source.entities[key] == own[key] for key in ("sub", "ses") if key in source.entities and key in own)
    return same and source.suffix == suffix and source.image.items() <= image.name.image.items()


def _labels(file: _File, tables: Mapping[Path, Sequence[Path]]) -> tuple[RawLabels, str]:
    """The label map, and how its numbers are known; empty if they are not. Raises InputError if they are of no use."""
    if numbers_by_name(file.name):
        return RawLabels(file.path, "freesurfer"), "FreeSurfer's numbers by its name"
    if table := find_table(file.path, file.name, tables):
        return RawLabels(file.path, "freesurfer", numbers=read_table(table)), f"numbers by {table.name}"
    return RawLabels(file.path, "freesurfer"), ""
