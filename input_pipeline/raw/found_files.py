"""Finding files in a dataset's folder: the steps that the `discover` functions of all datasets share."""

import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import TypeVar

from input_pipeline.raw.subject import Discovery, RawSubject
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.natural_order import natural_order

Key = TypeVar("Key", bound=Hashable)


def files_under(root: Path) -> list[Path]:
    """All files at any depth under `root`, in natural order. No file is opened.

    Links are followed. A folder is entered once, by its own path rather than by a link to it, and folders above `root`
    are never entered. Skipped: hidden files and folders (macOS writes a hidden `._x` beside each `x`), and links whose
    target is missing (annexed files that were not fetched).

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
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        try:
            if _identity(folder) in entered:
                continue
            entered.add(_identity(folder))
            with os.scandir(folder) as entries:
                visible = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
            for entry in visible:
                if entry.is_symlink() and not os.path.exists(entry.path):
                    continue
                if entry.is_file():
                    files.append(Path(entry.path))
                elif entry.is_dir():
                    (links if entry.is_symlink() else folders).append(Path(entry.path))
        except OSError as error:
            raise InputError(f"{folder}: {error.strerror}, expected a folder that can be read") from error
    return sorted(files, key=lambda path: natural_order(path.relative_to(root).as_posix()))


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
        dropped: receives each further file of the same subject and kind.
    """
    found: defaultdict[str, dict[str, Path]] = defaultdict(dict)
    for path in files_under(root):
        if named := identify(path):
            subject, kind = named
            take_first(found[subject], kind, path, f"{subject}'s {kind}", root, dropped)
    return found


def take_first(files: dict[Key, Path], key: Key, path: Path, what: str, root: Path, dropped: dict[str, str]) -> None:
    """Puts a file under its key. If the key has a file already, that one stays and `path` goes to `dropped`."""
    first = files.setdefault(key, path)
    if first != path:
        dropped[path.relative_to(root).as_posix()] = (
            f"second file of {what}, {first.relative_to(root).as_posix()} is taken"
        )


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
