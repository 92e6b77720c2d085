"""The folders of the workbench, and which files in them are scans, examples and results.

Scans are named by an id that this server gave out. So no path ever comes from outside, and none can leave the folders.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from neuralizer_jax.errors import InputError, OutputError, one_line
from neuralizer_jax.files.context_files import find_pairs
from neuralizer_jax.files.endings import volume_ending
from neuralizer_jax.files.example_volumes import find_examples, scans_in
from neuralizer_jax.files.folder_tree import files_under
from neuralizer_jax.files.image_files import image_suffix
from neuralizer_jax.files.volume_grid import is_volume
from neuralizer_jax.volumes.read_scan import read_scan

# Replaced files are kept here, in the folder of examples. Hidden folders are not searched for examples.
KEPT = ".replaced"


@dataclass(frozen=True)
class Folders:
    """Where the workbench reads and writes; a folder is made when the first file is written.

    Attributes:
        targets: the scans to annotate; dropped files are stored here.
        context: the examples; corrections are stored here.
        results: predictions.
    """

    targets: Path
    context: Path
    results: Path


@dataclass(frozen=True)
class Pair:
    """An example: an image and its label map, or its output image."""

    image: Path
    output: Path


@dataclass(frozen=True)
class Examples:
    """The examples of a folder.

    Attributes:
        pairs: each with its id.
        volumes: whether they are volumes rather than 2-D images; None if there are none.
        notes: for the user: what was passed over, or why there are none.
    """

    pairs: Mapping[str, Pair]
    volumes: bool | None
    notes: Sequence[str]


@dataclass(frozen=True)
class ScanFile:
    """A file to look at and to annotate.

    Attributes:
        id: names it in the HTTP calls.
        path: the file.
        place: its path in its folder, what a user knows it by.
        pair: the example with this image, if there is one.
        results: the folder of its predictions.
    """

    id: str
    path: Path
    place: str
    pair: Pair | None
    results: Path

    @property
    def is_volume(self) -> bool:
        """Whether it is a volume, not a 2-D image."""
        return is_volume(self.path)


def find_context(folder: Path) -> Examples:
    """The examples of a folder; none if it is missing."""
    if not folder.is_dir():
        return Examples({}, None, ())
    try:
        files = [path for path in files_under(folder) if image_suffix(path)]
        if not files:
            return Examples({}, None, ())
        volumes = any(is_volume(path) for path in files)
        found = find_examples(folder) if volumes else find_pairs(folder)
    except InputError as error:
        return Examples({}, None, (str(error),))
    pairs = zip(found.inputs, found.outputs, strict=True)
    return Examples({_id(image): Pair(image, output) for image, output in pairs}, volumes, found.notes)


def find_scans(folders: Folders, examples: Examples) -> dict[str, ScanFile]:
    """The scans of the folder of targets, then the images of examples that are none of them, each by its id."""
    pairs = {_content(pair.image): pair for pair in examples.pairs.values()}
    sizes = {pair.image.stat().st_size for pair in examples.pairs.values()}
    files = {path.resolve() for pair in examples.pairs.values() for path in (pair.image, pair.output)}
    root = folders.targets.resolve()
    others = [x for x in (folders.context.resolve(), folders.results.resolve()) if root in x.parents]
    scans: dict[str, ScanFile] = {}
    copied = set()
    for path in _images(root) if root.is_dir() else []:
        whole = path.resolve()
        if whole in files or any(other in whole.parents for other in others):
            continue
        pair = pairs.get(_content(path)) if path.stat().st_size in sizes else _converted(path, examples)
        copied.add(pair)
        place = path.relative_to(root)
        found = ScanFile(_id(path), path, place.as_posix(), pair, folders.results / place.parent)
        scans[found.id] = found
    for name, pair in examples.pairs.items():
        if pair not in copied:
            place = pair.image.relative_to(folders.context)
            scans[name] = ScanFile(
                name, pair.image, place.as_posix(), pair, folders.results / "of-examples" / place.parent
            )
    return scans


def keep(path: Path, context: Path) -> None:
    """Keeps a file that will be replaced, under a new name in the folder of examples.

    Raises:
        OutputError: it cannot be kept.
    """
    if not path.exists():
        return
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    try:
        (context / KEPT).mkdir(parents=True, exist_ok=True)
        (context / KEPT / f"{stamp}_{path.name[-150:]}").write_bytes(path.read_bytes())
    except OSError as error:
        raise OutputError(f"{one_line(path)}: cannot be kept ({error.strerror or error})") from None


def _images(folder: Path) -> list[Path]:
    """The scans of a folder, and its 2-D images."""
    volumes = scans_in(folder)
    flat = [path for path in files_under(folder) if image_suffix(path) and not volume_ending(path)]
    return [*volumes, *flat]


def _id(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]


def _content(path: Path) -> str:
    status = path.stat()
    return _hash(path, status.st_size, status.st_mtime_ns)


def _converted(scan: Path, examples: Examples) -> Pair | None:
    """The example whose image is the scan in FreeSurfer's format: it has its time and voxels."""
    changed = scan.stat().st_mtime_ns
    for pair in examples.pairs.values():
        same_time = pair.image.name.endswith(".mgz") and pair.image.stat().st_mtime_ns == changed
        if same_time and _same_voxels(scan, pair.image, changed):
            return pair
    return None


@lru_cache(maxsize=4096)
def _same_voxels(one: Path, other: Path, changed: int) -> bool:
    try:
        return volume_ending(one) != "" and np.array_equal(read_scan(one).values, read_scan(other).values)
    except InputError:
        return False


@lru_cache(maxsize=4096)
def _hash(path: Path, size: int, changed: int) -> str:
    """Of the content of a file, read again when it was changed."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
