"""Scans from outside: a dropped file, or the files of a DICOM folder, stored in the folder of targets.

A file is stored under its own name, or numbered if that is taken: nothing is overwritten, and what cannot be read is
not stored.
"""

import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from neuralizer_jax.errors import InputError, OutputError, one_line
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.files.endings import volume_ending
from neuralizer_jax.files.example_volumes import scans_in
from neuralizer_jax.files.image_files import IMAGE_SUFFIXES, image_stem, image_suffix, read_image
from neuralizer_jax.files.volume_grid import is_volume, read_grid

# Slices that a series needs to be a volume.
_LEAST_SLICES = 3


def store(name: str, content: BinaryIO, folder: Path) -> Path:
    """Stores a scan; the same file again is not stored twice.

    Args:
        name: the file's name, as its sender gave it; folders in it are dropped.
        content: the file.
        folder: of targets; made if missing.

    Returns:
        The stored file.

    Raises:
        InputError: it is no image that can be read, or is named as a label map.
        OutputError: it cannot be written.
    """
    name = plain_name(name)
    ending = image_suffix(name)
    if not ending:
        raise InputError(f"{one_line(name)}: is no image by its name, expected {', '.join(IMAGE_SUFFIXES)} or DICOM")
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / name
        with path.open("wb") as stream:
            shutil.copyfileobj(content, stream)
        try:
            _check(path)
        except InputError as error:
            raise InputError(str(error).replace(f"{temporary}/", "")) from None
        return _stored(path, folder)


def store_dicom(files: Iterable[tuple[str, BinaryIO]], folder: Path) -> list[Path]:
    """Converts the series of a DICOM folder, and stores each as a volume.

    Args:
        files: names and contents; what is no DICOM file is passed over.
        folder: of targets; made if missing.

    Raises:
        InputError: there is no series of at least three slices.
        OutputError: a volume cannot be written.
    """
    with tempfile.TemporaryDirectory() as temporary:
        inside = Path(temporary) / "dicom"
        inside.mkdir()
        folder_name = ""
        for number, (name, content) in enumerate(files):
            folder_name = folder_name or plain_name(Path(name.replace("\\", "/")).parent.name)
            with (inside / f"{number:06d}.dcm").open("wb") as stream:
                shutil.copyfileobj(content, stream)
        return [_stored(path, folder) for path in _converted(inside, folder_name or "dicom", Path(temporary))]


def plain_name(name: str) -> str:
    """A name without folders and without characters that a file system or a terminal may take for something else.

    >>> plain_name("../a:b\\\\..\\\\.scan 1.nii.gz")
    'scan 1.nii.gz'
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = re.sub(r'[<>:"|?*\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]', "_", last).lstrip(". -")
    stem, ending = image_stem(plain), image_suffix(plain)
    return f"{stem[:100]}{plain[len(plain) - len(ending) :]}"


def _check(path: Path) -> None:
    """Raises InputError if a scan cannot be read."""
    if volume_ending(path):
        if is_volume(path):
            from neuralizer_jax.volumes.read_scan import read_scan

            read_grid(path)
            read_scan(path)
        else:
            read_image(path)
        if not scans_in(path.parent):
            raise InputError(f"{path.name}: is a label map by its name, expected a scan")
    else:
        read_image(path)


def _stored(path: Path, folder: Path) -> Path:
    ending = image_suffix(path)
    stem = image_stem(path)
    number = 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            final = folder / (path.name if number == 1 else f"{stem}-{number}{ending}")
            if not final.exists():
                break
            if final.stat().st_size == path.stat().st_size and final.read_bytes() == path.read_bytes():
                return final
            number += 1
    except OSError as error:
        raise OutputError(f"{one_line(folder)}: cannot be written ({error.strerror or error})") from None
    with written_whole(final) as temporary:
        shutil.copyfile(path, temporary)
    return final


def _converted(folder: Path, name: str, out: Path) -> list[Path]:
    """Converts all series of a folder."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageSeriesReader()
    found = []
    for number, series in enumerate(sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))):
        files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series)
        reader.SetFileNames(files)
        try:
            image = reader.Execute()
            if image.GetDimension() == 4 and image.GetSize()[3] == 1:
                image = image[..., 0]
        except RuntimeError:  # damaged, or slices of different sizes
            continue
        if image.GetDimension() != 3 or image.GetSize()[2] < _LEAST_SLICES:
            continue
        path = out / f"{name}{f'_series-{number + 1}' if number else ''}.nii.gz"
        sitk.WriteImage(image, str(path))
        try:
            _check(path)
        except InputError:
            continue
        found.append(path)
    if not found:
        raise InputError(f"no DICOM series of at least {_LEAST_SLICES} slices, expected the files of a scan")
    return found
