"""Finds annotated scans in a folder: each image with its label map, in the layouts that people have.

1. Two folders: nnU-Net's `imagesTr/CASE_0000.nii.gz` with `labelsTr/CASE.nii.gz`, or `images` with `labels` or `masks`.
2. `NAME_in.nii.gz` with `NAME_out.nii.gz` (`context_files`).
3. BIDS, at any depth: `sub-01_T1w.nii.gz` with `sub-01_dseg.nii.gz`, which may lie below `derivatives/`
   (`example_bids`).
4. FreeSurfer: `SUBJECT/mri/T1.mgz` with `SUBJECT/mri/aseg.mgz`.
5. Words for labels, in files of one folder: `case1.nii.gz` with `case1_seg.nii.gz`.

A folder has one of the first four layouts. Label maps that this program predicted are no examples. Voxels are not read,
headers only where a choice depends on them.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.context_files import ContextPairs, find_pairs, identity, named, paired_files
from neuralizer_jax.files.endings import ENDINGS, volume_ending
from neuralizer_jax.files.example_bids import Found, bids_examples
from neuralizer_jax.files.folder_tree import files_under
from neuralizer_jax.files.image_files import image_suffix
from neuralizer_jax.files.natural_order import natural_order
from neuralizer_jax.files.result_record import is_prediction, read_record

_IMAGE_FOLDERS = ("imagestr", "images", "image", "imgs", "img", "scans", "inputs", "input", "in")
_LABEL_FOLDERS = (
    *("labelstr", "labels", "label", "segmentations", "segmentation", "segs", "seg", "masks", "mask", "annotations"),
    *("outputs", "output", "out"),
)
# nnU-Net's number of a channel, at the end of the name of an image.
_CHANNEL = re.compile(r"_(\d{4})$")

# Words for labels; and words for masks, which count where no file of the folder has one for labels.
_LABELS = {"dseg", "seg", "segmentation", "label", "labels", "labelmap", "parcellation", "manual", "gt", "roi", "glm"}
_LABELS |= {"aseg", "aparc", "wmparc", "a2009s", "synthseg", "annotation"}
_MASKS = {"mask", "msk", "brainmask", "synthstrip"}
_PROBABILITIES = {"probseg", "prob"}
# Images of FreeSurfer in `SUBJECT/mri`, the one to take first; of its label maps, `aseg.mgz`.
_FREESURFER_IMAGES = ("T1.mgz", "norm.mgz", "orig.mgz", "nu.mgz", "brain.mgz")


def find_examples(folder: Path, *, targets: Sequence[Path] = ()) -> ContextPairs:
    """Finds the images of a folder that have a label map, in natural order.

    Images without labels and label maps without image are noted.

    Args:
        folder: the folder.
        targets: need no labels. Where an example has several contrasts, that of the targets is taken, by their names.

    Raises:
        InputError: there is no such pair, or pairs in several layouts; an image has several label maps, or a label map
            several images.

    Example:
        >>> for name in ("case1.nii.gz", "case1_seg.nii.gz", "case2.nii.gz"):
        ...     Path(name).touch()
        >>> pairs = find_examples(Path("."))
        >>> [path.name for path in (*pairs.inputs, *pairs.outputs)]
        ['case1.nii.gz', 'case1_seg.nii.gz']
        >>> pairs.notes
        ('.: case2.nii.gz: no labels, so no example',)
    """
    volumes = [path for path in files_under(folder) if volume_ending(path) and not _PROBABILITIES & set(_words(path))]
    predicted = {path for path in volumes if is_prediction(path)}
    volumes = [path for path in volumes if path not in predicted]
    notes = [f"{one_line(folder)}: {named(sorted(predicted))}: predicted, so no example"] if predicted else []
    layouts: dict[str, Found] = {}
    images, labels = (_subfolder(folder, names) for names in (_IMAGE_FOLDERS, _LABEL_FOLDERS))
    if images and labels:
        of_images, of_labels = ([p for p in volumes if p.parent == place] for place in (images, labels))
        layouts[f"{images.name} and {labels.name}"] = _match(of_images, of_labels, folder, targets)
        notes += _channels(of_images)
    others = [path for path in volumes if path.parent not in (images, labels)]
    if paired := {identity(path) for path in paired_files(folder)}:
        in_out = find_pairs(folder, targets=[target for target in targets if identity(target) not in paired])
        layouts["NAME_in and NAME_out"] = Found(list(zip(in_out.inputs, in_out.outputs, strict=True)))
        notes += in_out.notes
    layouts["FreeSurfer"] = _freesurfer(others, targets)
    subjects = {path.parent for pair in layouts["FreeSurfer"].pairs for path in pair}
    others = [path for path in others if path.parent not in subjects]
    layouts["BIDS"] = bids_examples(others, folder, targets)
    layouts = {name: found for name, found in layouts.items() if found.pairs}
    if len(layouts) > 1:
        raise InputError(
            f"{one_line(folder)}: holds examples of several kinds ({', '.join(layouts)}), expected one kind "
            "(or --context-in and --context-out)"
        )
    found = next(iter(layouts.values()), None) or _by_words(others, folder, targets)
    if not found.pairs:
        raise InputError(
            f"{one_line(folder)}: no images with labels among {len(volumes)} volumes ({', '.join(ENDINGS)}), expected "
            "names such as sub-01_T1w.nii.gz with sub-01_dseg.nii.gz, NAME_in.nii.gz with NAME_out.nii.gz, or folders "
            "imagesTr and labelsTr"
        )
    pairs = sorted(found.pairs, key=lambda pair: natural_order(pair[0].relative_to(folder).as_posix().casefold()))
    inputs, outputs = zip(*pairs, strict=True)
    known = {identity(target) for target in targets}
    for paths, lack in ((found.images, "labels"), (found.labels, "image")):
        if single := [path for path in paths if identity(path) not in known]:
            notes.append(f"{one_line(folder)}: {named(single)}: no {lack}, so no example{'s' * (len(single) > 1)}")
    return ContextPairs(inputs, outputs, tuple(notes))


def scans_in(folder: Path) -> list[Path]:
    """The scans of a folder, at any depth if there is no image at its top: no label maps, of channels the first.

    Images that were predicted from a scan beside them are left out.

    Raises:
        InputError: the folder cannot be read.

    Example:
        >>> Path("new").mkdir()
        >>> for name in ("b.nii.gz", "b_seg.nii.gz", "a_0000.nii.gz", "a_0001.nii.gz"):
        ...     Path("new", name).touch()
        >>> [path.name for path in scans_in(Path("new"))]
        ['a_0000.nii.gz', 'b.nii.gz']
    """
    files = files_under(folder)
    if any(path.parent == folder and image_suffix(path) for path in files):
        files = [path for path in files if path.parent == folder]
    scans: dict[tuple[Path, str], Path] = {}
    for path in files:
        if volume_ending(path) and not (_LABELS | _MASKS | _PROBABILITIES) & set(_words(path)):
            scans.setdefault((path.parent, _without_channel(path)), path)
    found = set(scans.values())
    return [path for path in scans.values() if _source(path) not in found - {path}]


def _source(path: Path) -> Path | None:
    """The scan beside an image that it was predicted from, as its record says, or that of the mask of a brain."""
    stem = _stem(path)
    for name in (stem, f"{stem.removesuffix('_brain')}_mask"):
        sources = read_record(path.with_name(f"{name}.json")).get("Sources")
        if isinstance(sources, list) and sources:
            return path.with_name(Path(str(sources[0])).name or "_")
    return None


def _subfolder(folder: Path, names: Sequence[str]) -> Path | None:
    inside = {path.name.casefold(): path for path in folder.iterdir() if path.is_dir()}
    return next((inside[name] for name in names if name in inside), None)


def _channels(images: Iterable[Path]) -> list[str]:
    """A note if the images have several channels."""
    channels = Counter(match[1] for path in images if (match := _CHANNEL.search(_stem(path))))
    if len(channels) < 2:
        return []
    return [f"images of {len(channels)} channels ({', '.join(sorted(channels))}): {min(channels)} is taken"]


def _freesurfer(volumes: Sequence[Path], targets: Sequence[Path]) -> Found:
    """`aseg.mgz` of each subject, with the image that the targets are named as, or the usual one."""
    given = [target.name for target in targets if target.name in _FREESURFER_IMAGES]
    found = Found([])
    for labels in volumes:
        if labels.parent.name == "mri" and labels.name == "aseg.mgz":
            images = (labels.with_name(name) for name in (*given, *_FREESURFER_IMAGES))
            image = next((image for image in images if image in volumes), None)
            if image is None:
                found.labels.append(labels)
            else:
                found.pairs.append((image, labels))
    return found


def _by_words(volumes: Sequence[Path], folder: Path, targets: Sequence[Path]) -> Found:
    """Pairs files in the same folder, of which one has a word for labels in its name."""
    words = _LABELS if any(_LABELS & set(_words(path)) for path in volumes) else _MASKS
    places: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in volumes:
        places[path.parent].append(path)
    found = Found([])
    for inside in places.values():
        labels = [path for path in inside if words & set(_words(path))]
        images = [path for path in inside if not (_LABELS | _MASKS) & set(_words(path))]
        own = _match(images, labels, folder, targets)
        found = Found(found.pairs + own.pairs, found.images + own.images, found.labels + own.labels)
    return found


def _match(images: Sequence[Path], labels: Sequence[Path], folder: Path, targets: Sequence[Path]) -> Found:
    """Pairs label maps with images: of the same name, without the words for labels, or with further words."""
    taken: dict[Path, Path] = {}
    single = []
    wanted = {tuple(_words(target)[-1:]) for target in targets}
    for label in labels:
        image = _image_of(label, images, wanted, folder)
        if image is None:
            single.append(label)
        elif image in taken:
            places = " and ".join(one_line(path.relative_to(folder)) for path in (taken[image], label))
            raise InputError(
                f"{one_line(folder)}: {places} are both labels of {one_line(image.name)}, expected one label map "
                "(or --context-in and --context-out)"
            )
        else:
            taken[image] = label
    cases = {_without_channel(image) for image in taken}
    return Found(list(taken.items()), [path for path in images if _without_channel(path) not in cases], single)


def _image_of(label: Path, images: Sequence[Path], wanted: set[tuple[str, ...]], folder: Path) -> Path | None:
    full = _words(label)
    bare = [word for word in full if word not in _LABELS | _MASKS]
    for candidates in (
        [path for path in images if _words(path) == full],
        [path for path in images if _words(path) == bare],
        [path for path in images if _CHANNEL.search(_stem(path)) and _words(path)[:-1] in (full, bare)][:1],
        [path for path in images if _words(path)[: len(bare)] == bare],
    ):
        if len(candidates) > 1:
            candidates = [path for path in candidates if tuple(_words(path)[-1:]) in wanted] or candidates
        if len(candidates) > 1:
            raise InputError(
                f"{one_line(folder)}: {named(candidates)}: all may be the image of {one_line(label.name)}, expected "
                "one (or --context-in and --context-out)"
            )
        if candidates:
            return candidates[0]
    return None


def _stem(path: Path) -> str:
    return unicodedata.normalize("NFC", path.name[: -len(volume_ending(path))])


def _without_channel(path: Path) -> str:
    return _CHANNEL.sub("", _stem(path))


def _words(path: Path) -> list[str]:
    return [word for word in re.split(r"[\W_]+", _stem(path).casefold()) if word]
