"""Finding files in a dataset's folder: the steps that the `discover` functions of all datasets share."""

import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar
from unicodedata import normalize
from urllib.parse import quote_from_bytes

from input_pipeline.raw.subject import Discovery, RawSubject
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.endings import ENDINGS, volume_ending
from neuralizer_jax.files.natural_order import natural_order

Key = TypeVar("Key", bound=Hashable)


# Further endings of images that are not read; so is whatever has `.nii` in its name.
_OTHER_FORMATS = (
    *(".hdr", ".img", ".img.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".mnc", ".dcm", ".ima", ".par", ".rec", ".head"),
    *(".brik", ".brik.gz", ".v", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".npy", ".npz"),
)
_MOST_IN_FOLDER = 8

# Files are named by an id with an ending; file systems allow names of 255 bytes.
_LONGEST_ID = 200


def files_under(root: Path, dropped: dict[str, str] | None = None) -> list[Path]:
    """All files at any depth under `root`, in natural order. No file is opened.

    Links are followed. A folder is entered once, by its own path rather than by a link to it, and folders above `root`
    are never entered. Skipped: hidden files and folders (macOS writes a hidden `._x` beside each `x`), and links whose
    target is missing (annexed files that were not fetched).

    Args:
        root: the dataset's folder.
        dropped: receives links to folders that are entered elsewhere, and links to missing images.

    Raises:
        InputError: `root` is not a folder, or a folder cannot be read.
    """
    if not root.is_dir():
        raise InputError(
            f"{root}: {'not a folder' if root.exists() else 'does not exist'}, expected a dataset's folder"
        )
    entered = {_identity(folder) for folder in root.resolve().parents}
    files: list[Path] = []
    folders, links = [root], list[Path]()
    skipped: dict[str, str] = {}
    while folders or links:
        link = not folders
        folder = links.pop(0) if link else folders.pop()
        try:
            if _identity(folder) in entered:
                if link:
                    skipped[_place(folder, root)] = "link to a folder that is searched elsewhere"
                continue
            entered.add(_identity(folder))
            with os.scandir(folder) as entries:
                visible = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
            for entry in visible:
                if entry.is_symlink() and not os.path.exists(entry.path):
                    if looks_like_image(Path(entry.path)):
                        skipped[_place(Path(entry.path), root)] = "link to a missing file (was it fetched?)"
                    continue
                if entry.is_file():
                    files.append(Path(entry.path))
                elif entry.is_dir():
                    (links if entry.is_symlink() else folders).append(Path(entry.path))
        except OSError as error:
            raise InputError(f"{folder}: {error.strerror}, expected a folder that can be read") from error
    if dropped is not None:
        dropped |= skipped
    return sorted(files, key=lambda path: natural_order(_place(path, root)))


def looks_like_image(path: Path) -> bool:
    """Whether a file has a name as images have, read here or not."""
    name = path.name.lower()
    return bool(volume_ending(path)) or name.endswith(_OTHER_FORMATS) or ".nii" in name


def volumes_among(files: Iterable[Path], root: Path, dropped: dict[str, str]) -> list[tuple[Path, str]]:
    """The files that are volumes by their name, and the name without the ending.

    Args:
        files: under `root`.
        root: the dataset's folder.
        dropped: receives whatever else looks like an image; of many files of a folder one line.
    """
    found, others = [], {}
    for path in files:
        if ending := volume_ending(path):
            found.append((path, path.name[: -len(ending)]))
        elif looks_like_image(path):
            others[_place(path, root)] = f"is in a format that is not read, expected {', '.join(ENDINGS)}"
    dropped |= one_line_a_folder(others)
    return found


def one_line_a_folder(dropped: Mapping[str, str]) -> dict[str, str]:
    """Joins lines: of many files with the same ending and reason in a folder, such as a series of DICOM files.

    >>> one_line_a_folder({f"01/{i}.dcm": "is DICOM" for i in range(200)})
    {'01/*.dcm (200 files)': 'is DICOM'}
    """
    groups: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for place, reason in dropped.items():
        folder, _, name = place.rpartition("/")
        groups[folder, "".join(Path(name).suffixes[-2:]) if ".nii" in name else Path(name).suffix, reason].append(place)
    joined: dict[str, str] = {}
    for (folder, ending, reason), places in groups.items():
        many = len(places) > _MOST_IN_FOLDER
        joined |= (
            {f"{folder}/*{ending} ({len(places)} files)".lstrip("/"): reason} if many else dict.fromkeys(places, reason)
        )
    return joined


def readable_id(text: str) -> str:
    """An id of a subject made of a file's name: letters in one form (NFC), and as %XX what cannot be shown.

    Raises:
        InputError: the id is too long for the names of files made from it.

    >>> readable_id("cafe\\u0301"), readable_id("caf\\udce9")
    ('café', 'caf%E9')
    """
    shown = [c if c.isprintable() else quote_from_bytes(os.fsencode(c)) for c in normalize("NFC", text)]
    name = "".join(shown)
    if len(name.encode()) > _LONGEST_ID:
        raise InputError(f"its name is longer than {_LONGEST_ID} bytes")
    return name


def _place(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def files_by_subject(
    root: Path, identify: Callable[[Path], tuple[str, str] | None], dropped: dict[str, str]
) -> dict[str, dict[str, Path]]:
    """The files of each subject, by kind.

    Args:
        root: the dataset's folder.
        identify: gives the subject and the kind of a file, such as `("IXI002-Guys-0828", "T1")`, or None for a file of
            no use.
        dropped: receives each further file of the same subject and kind, and links to missing images.
    """
    found: defaultdict[str, dict[str, Path]] = defaultdict(dict)
    for path in files_under(root, dropped):
        if named := identify(path):
            subject, kind = named
            take_first(found[subject], kind, path, f"{subject}'s {kind}", root, dropped)
    return found


def take_first(files: dict[Key, Path], key: Key, path: Path, what: str, root: Path, dropped: dict[str, str]) -> None:
    """Puts a file under its key. If the key has a file already, that one stays and `path` goes to `dropped`."""
    first = files.setdefault(key, path)
    if first != path:
        dropped[_place(path, root)] = f"second file of {what}, {_place(first, root)} is taken"


def together(images: dict[str, Path], *modalities: str) -> tuple[tuple[str, ...], ...]:
    """One group of aligned images: those `modalities` that the subject has; no group if it has fewer than two."""
    present = tuple(modality for modality in modalities if modality in images)
    return (present,) if len(present) > 1 else ()


def discovery(root: Path, subjects: Iterable[RawSubject], dropped: dict[str, str], expected: str) -> Discovery:
    """The subjects in natural order of their ids, and the dropped files. Raises InputError if there is no subject."""
    found = tuple(sorted(subjects, key=lambda subject: natural_order(subject.subject)))
    if not found:
        passed_over = f" ({len(dropped)} passed over, {next(iter(dropped.values()))})" if dropped else ""
        raise InputError(f"{root}: no subjects found{passed_over}, expected {expected}")
    return Discovery(found, dropped)
