"""All files below a folder, and which of them look like images. No file is opened."""

import os
from pathlib import Path

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.endings import volume_ending
from neuralizer_jax.files.natural_order import natural_order

# Further endings of images that are not read; so is whatever has `.nii` in its name.
_OTHER_FORMATS = (
    *(".hdr", ".img", ".img.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".mnc", ".dcm", ".ima", ".par", ".rec", ".head"),
    *(".brik", ".brik.gz", ".v", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".npy", ".npz"),
)


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


def _place(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
