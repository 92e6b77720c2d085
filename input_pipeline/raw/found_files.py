"""The files under a dataset's folder, in a fixed order, and the discovery made of them: what all datasets share."""

import os
import re
from collections.abc import Hashable, Iterable
from pathlib import Path

from input_pipeline.raw.subject import Discovery, RawSubject
from neuralizer_jax.errors import InputError


def natural_order(text: str) -> tuple:
    """Sort key by which `a2` stands before `a10`."""
    pieces = re.split(r"([0-9]+)", text)
    return [int(piece) if i % 2 else piece for i, piece in enumerate(pieces)], text


def files_under(root: Path) -> list[Path]:
    """All files at any depth under `root`, sorted naturally; none is opened.

    Links are followed. Each folder is entered once, by its own path rather than by a link to it, and no folder above
    `root` is. Left out: hidden files and folders (macOS writes a hidden `._x` beside each `x`), links that lead nowhere
    (annexed files that were not fetched).
    """
    if not root.is_dir():
        raise InputError(
            f"{root}: {'not a folder' if root.exists() else 'does not exist'}, expected a dataset's folder"
        )
    entered = {_identity(folder) for folder in root.resolve().parents}
    files, folders, links = [], [root], []
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


def take_first(
    files: dict[Hashable, Path], key: Hashable, path: Path, what: str, root: Path, dropped: dict[str, str]
) -> None:
    """Puts a file under its key; where another is there already, notes that the folder holds two of `what`."""
    first = files.setdefault(key, path)
    if first != path:
        dropped[path.relative_to(root).as_posix()] = (
            f"second file of {what}, {first.relative_to(root).as_posix()} is taken"
        )


def together(images: dict[str, Path], *modalities: str) -> tuple[tuple[str, ...], ...]:
    """The one aligned group of those `modalities` that `images` has; no group where that is fewer than two."""
    present = tuple(modality for modality in modalities if modality in images)
    return (present,) if len(present) > 1 else ()


def discovery(root: Path, subjects: Iterable[RawSubject], dropped: dict[str, str], expected: str) -> Discovery:
    """Subjects sorted naturally by id, with what was dropped. Raises InputError where there are no subjects."""
    found = tuple(sorted(subjects, key=lambda subject: natural_order(subject.subject)))
    if not found:
        passed_over = f" ({len(dropped)} passed over, {next(iter(dropped.values()))})" if dropped else ""
        raise InputError(f"{root}: no subjects found{passed_over}, expected {expected}")
    return Discovery(found, dropped)
