"""Derivatives of a subject's image: a whole-brain segmentation and a brain mask, found or made with FreeSurfer.

For an image `STEM.nii.gz` of the subject `SUBJECT`, the first of these files is taken:

| | segmentation (FreeSurfer's numbers) | brain mask (above 0 inside the brain) |
| --- | --- | --- |
| 1 | `STEM_synthseg` | `STEM_synthstrip` |
| 2 | `STEM_aseg` | `STEM_brainmask` |
| 3 | `STEM_freesurfer` | `STEM_brain_mask` |
| 4 | `SUBJECT/mri/aparc+aseg.mgz` | `SUBJECT/mri/brainmask.mgz` |
| 5 | `SUBJECT/mri/aseg.mgz` | |

All of them are searched for at any depth in the folder given by `--segmentations`; then the first three beside the
image. `STEM...` may end in `.nii.gz`, `.nii` or `.mgz`. `STEM_seg` and `STEM_mask` are ignored, because datasets give
these names to lesions and defaced regions.
"""

import errno
import os
import shutil
import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from neuralizer_jax.errors import InputError, OutputError, one_line
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.files.endings import volume_ending
from neuralizer_jax.files.folder_lock import locked
from neuralizer_jax.files.folder_tree import files_under

_SEGMENTATIONS = ("_synthseg", "_aseg", "_freesurfer")
_FREESURFER_SEGMENTATIONS = ("aparc+aseg.mgz", "aseg.mgz")
_BRAIN_MASKS = ("_synthstrip", "_brainmask", "_brain_mask")
_FREESURFER_BRAIN_MASKS = ("brainmask.mgz",)
_ENDINGS = (".nii.gz", ".nii", ".mgz")

# How a machine or a person stops a program: short of memory, at the end of a job, on a full disk.
# (Windows has not all of these signals.)
_STOPPED = tuple(getattr(signal, name) for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGXCPU") if hasattr(signal, name))
_NO_SPACE = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM)))

# Files by name, and by the last three parts of their path, `SUBJECT/mri/aseg.mgz`.
Index = Mapping[str, Sequence[Path]]


def index_segmentations(folder: Path | None) -> Index:
    """The files at any depth under the user's folder of segmentations; empty without a folder."""
    index: defaultdict[str, list[Path]] = defaultdict(list)
    for path in files_under(folder) if folder else ():
        index[path.name].append(path)
        index["/".join(path.absolute().parts[-3:])].append(path)
    return dict(index)


def find_segmentation(image: Path, subject: str, index: Index) -> Path | None:
    """The user's segmentation of an image.

    Raises:
        InputError: several files of the index have the same name.
    """
    return _find(image, subject, index, _SEGMENTATIONS, _FREESURFER_SEGMENTATIONS)


def find_brain_mask(image: Path, subject: str, index: Index) -> Path | None:
    """The user's brain mask of an image.

    Raises:
        InputError: several files of the index have the same name.
    """
    return _find(image, subject, index, _BRAIN_MASKS, _FREESURFER_BRAIN_MASKS)


def files_beside(image: Path) -> Iterator[list[Path]]:
    """Where a segmentation, then a brain mask, may lie beside an image; the first that is there is taken."""
    for names in (_SEGMENTATIONS, _BRAIN_MASKS):
        yield [image.with_name(name) for name in _file_names(image, names)]


def make_segmentation(image: Path, out: Path) -> Path | None:
    """Segments an image with `mri_synthseg`.

    The program needs many GiB of memory, so only one process at a time runs it for a folder.

    Args:
        image: the file.
        out: file to write, in a folder that is made if needed; an existing file is kept.

    Returns:
        `out`; None if the program is not installed.

    Raises:
        InputError: the program fails; the message has its last line of output, and no file is left behind.
        OutputError: it cannot be started or is stopped, or the file cannot be written.
    """
    return _make(image, out, "mri_synthseg", "--i", "--o", "--threads", "1", "--cpu")


def make_brain_mask(image: Path, out: Path) -> Path | None:
    """Makes a brain mask with `mri_synthstrip`, as `make_segmentation` does."""
    return _make(image, out, "mri_synthstrip", "-i", "-m")


def _find(
    image: Path, subject: str, index: Index, names: Sequence[str], freesurfer_names: Sequence[str]
) -> Path | None:
    files = _file_names(image, names)
    for key in (*files, *(f"{subject}/mri/{name}" for name in freesurfer_names)):
        found = {path.resolve(): path for path in index.get(key, ())}
        if len(found) > 1:
            first, second, *_ = found.values()
            raise InputError(f"{one_line(first)} and {one_line(second)}: both are named {key}, expected one file")
        if found:
            return next(iter(found.values()))
    return next((path for file in files if (path := image.with_name(file)).is_file()), None)


def _file_names(image: Path, names: Sequence[str]) -> list[str]:
    stem = image.name[: len(image.name) - len(volume_ending(image))]
    return [f"{stem}{name}{ending}" for name in names for ending in _ENDINGS]


def _make(image: Path, out: Path, program: str, input_option: str, output_option: str, *others: str) -> Path | None:
    if out.is_file():
        return out
    if not (command := shutil.which(program)):
        return None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{one_line(out.parent)}: cannot be written ({error.strerror or error})") from error
    with locked(out.parent / ".lock", wait=True):
        if not out.is_file():  # made by another process meanwhile
            with written_whole(out) as temporary:
                paths = (input_option, str(image.absolute()), output_option, str(temporary.absolute()))
                _run([command, *paths, *others], image)
                if not temporary.is_file():
                    raise InputError(f"{one_line(image)}: {program} ended without making its output file")
    return out


def _run(command: list[str], image: Path) -> None:
    program = Path(command[0]).name
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    except OSError as error:
        raise OutputError(f"{one_line(command[0])}: cannot be started ({error.strerror or error})") from error
    if not result.returncode:
        return
    said = [line.strip() for line in result.stderr.splitlines() if line.strip()]
    reason = f" ({said[-1]})" if said else ""
    message = f"{one_line(image)}: {program} failed with exit status {result.returncode}{reason}"
    # A shell script ends with 128 + n when signal n ends its program.
    stopped = (-result.returncode if result.returncode < 0 else result.returncode - 128) in _STOPPED
    if stopped or any(text in result.stderr for text in _NO_SPACE):
        raise OutputError(f"{message}, expected enough memory and space for it")
    raise InputError(message)
