"""Finds annotated scans named as in BIDS: each image with its label map, `_dseg`, or if there is none, `_mask`."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.bids_name import BidsName, name_of_file, parse_name
from neuralizer_jax.files.bids_sidecars import sources_of
from neuralizer_jax.files.endings import volume_ending
from neuralizer_jax.files.volume_grid import lies_on, read_grid

# The contrasts that labels are usually drawn on, the usual one first.
CONTRASTS = ("T1w", "T2w", "PDw", "FLAIR", "UNIT1", "T2starw", "angio", "CT")
_MAPS = ("dseg", "seg", "aseg", "label", "labels", "manual")
_MASKS = ("mask", "msk", "roi")
# Neither an image of one volume nor labels.
_OTHERS = ("probseg", "bold", "sbref", "dwi", "epi", "cbv", "asl", "m0scan", "phasediff", "fieldmap", "xfm", "boldref")


@dataclass(frozen=True)
class Found:
    """Images with their label maps, images without labels, and label maps without an image."""

    pairs: list[tuple[Path, Path]]
    images: list[Path] = field(default_factory=list)
    labels: list[Path] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _File:
    path: Path
    place: Path
    stem: str
    name: BidsName

    @property
    def kind(self) -> str:
        """For a label map, what distinguishes it from other label maps of the same image: `desc-aseg_dseg`."""
        keys = ("desc", "seg", "atlas", "label", "hemi", "res", "den")
        return "_".join([*(f"{k}-{self.name.entities[k]}" for k in keys if k in self.name.entities), self.name.suffix])


def bids_examples(volumes: Iterable[Path], root: Path, targets: Sequence[Path]) -> Found:
    """Finds the images with label maps.

    A label map belongs to an image of its subject and session in its space, that has all of its parts (`acq-`, `run-`)
    and is among its `Sources`. Of several, the one with the suffix and description of the targets is taken, then the
    usual contrast, then raw files before derivatives; if it lies on the same voxels.

    Args:
        volumes: files under `root`.
        root: the dataset's folder.
        targets: their names tell which contrast is wanted.

    Raises:
        InputError: images have label maps of several kinds (`desc-aseg_dseg`, `desc-aparcaseg_dseg`).
    """
    sessions: defaultdict[tuple[str, str], list[_File]] = defaultdict(list)
    for path in volumes:
        place, stem = path.relative_to(root), path.name[: -len(volume_ending(path))]
        try:
            name = name_of_file(place, stem)
        except InputError:
            continue
        if name.suffix.lower() not in _OTHERS and name.entities.get("part", "mag") == "mag":
            sessions[name.entities["sub"], name.entities.get("ses", "")].append(_File(path, place, stem, name))
    every = [file for files in sessions.values() for file in files]
    labels = _usable([file for file in every if file.name.suffix in (*_MAPS, *_MASKS)])
    images = [file for file in every if file.name.suffix not in (*_MAPS, *_MASKS)]
    wanted = [its for target in targets if (its := _name(target))]
    taken: dict[_File, _File] = {}
    single = []
    for label in labels:
        sub, ses = label.name.entities["sub"], label.name.entities.get("ses", "")
        own = [
            its for its in images if its.name.entities["sub"] == sub and ses in ("", its.name.entities.get("ses", ""))
        ]
        image = _image_of(label, own, wanted)
        if image is None:
            single.append(label.path)
        elif image in taken:
            other = taken[image]
            kinds = sorted({label.kind, other.kind})
            what = f"label maps of several kinds ({', '.join(kinds)})" if len(kinds) > 1 else "two label maps"
            raise InputError(
                f"{one_line(root)}: {one_line(image.place)} has {what}, {one_line(other.place)} and "
                f"{one_line(label.place)}, expected one (or --context-in and --context-out)"
            )
        else:
            taken[image] = label
    annotated = {(its.name.entities["sub"], its.name.entities.get("ses")) for its in taken}
    others = [its.path for its in images if (its.name.entities["sub"], its.name.entities.get("ses")) not in annotated]
    return Found([(image.path, label.path) for image, label in taken.items()], others, single)


def _usable(labels: Sequence[_File]) -> list[_File]:
    """Label maps; if there are none, masks; brain masks only if there is nothing else."""
    maps = [file for file in labels if file.name.suffix in _MAPS]
    masks = [
        file for file in labels if "brain" not in (file.name.entities.get("desc"), file.name.entities.get("label"))
    ]
    return maps or masks or list(labels)


def _image_of(label: _File, images: Sequence[_File], wanted: Sequence[BidsName]) -> _File | None:
    sources = [name for name in sources_of(label.path, label.stem) if name.suffix not in (*_MAPS, *_MASKS)]
    space, parts = label.name.space, label.name.image

    def fits(image: _File) -> bool:
        own = image.name
        same_space = space == own.space or {space, own.space} <= {"", own.suffix}
        source = not sources or any(
            its.suffix == own.suffix and its.image.items() <= own.image.items() for its in sources
        )
        return same_space and source and parts.items() <= own.image.items()

    def rank(image: _File) -> tuple:
        own = image.name
        return (
            not any(own.suffix == its.suffix for its in wanted),
            not any(own.entities.get("desc") == its.entities.get("desc") for its in wanted),
            CONTRASTS.index(own.suffix) if own.suffix in CONTRASTS else len(CONTRASTS),
            "derivatives" in image.place.parts,
            len(own.entities),
            image.place.as_posix(),
        )

    candidates = sorted(filter(fits, images), key=rank)
    if len(candidates) > 1:
        candidates = [its for its in candidates if _on_its_voxels(label.path, its.path)] or candidates
    return candidates[0] if candidates else None


def _on_its_voxels(label: Path, image: Path) -> bool:
    try:
        return lies_on(read_grid(label), read_grid(image))
    except InputError:
        return False


def bids_suffix(path: Path) -> str:
    """The suffix of a file of a subject that is named as in BIDS; empty for another file.

    >>> bids_suffix(Path("sub-01_T1w.nii.gz")), bids_suffix(Path("case_01.nii.gz"))
    ('T1w', '')
    """
    name = _name(path)
    return name.suffix if name and "sub" in name.entities else ""


def _name(path: Path) -> BidsName | None:
    try:
        return parse_name(path.name[: -len(volume_ending(path))])
    except InputError:
        return None
