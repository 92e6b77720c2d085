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
from neuralizer_jax.files.folder_tree import files_under, looks_like_image
from neuralizer_jax.files.natural_order import natural_order

Key = TypeVar("Key", bound=Hashable)


_MOST_IN_FOLDER = 8

# Files are named by an id with an ending; file systems allow names of 255 bytes.
_LONGEST_ID = 200


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
