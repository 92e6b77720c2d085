"""A subject's segmentation and brain mask: the user's where there is one, else made with FreeSurfer's programs.

For an image `STEM.nii.gz` of the subject `SUBJECT`, the first of

| | segmentation (FreeSurfer's numbers) | brain mask (above 0 inside) |
| --- | --- | --- |
| 1 | `STEM_synthseg` | `STEM_synthstrip` |
| 2 | `STEM_aseg` | `STEM_brainmask` |
| 3 | `STEM_freesurfer` | `STEM_brain_mask` |
| 4 | `SUBJECT/mri/aparc+aseg.mgz` | `SUBJECT/mri/brainmask.mgz` |
| 5 | `SUBJECT/mri/aseg.mgz` | |

anywhere under the folder named with `--segmentations`, else of the first three beside the image; names without an
ending may have `.nii.gz`, `.nii` or `.mgz`. `STEM_seg` and `STEM_mask` are not taken: datasets name lesions and defaced
regions so.
"""

import fcntl
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.files.image_formats import one_line
from neuralizer_jax.files.volumes import volume_ending

_SEGMENTATIONS = ("_synthseg", "_aseg", "_freesurfer")
_FREESURFER_SEGMENTATIONS = ("aparc+aseg.mgz", "aseg.mgz")
_BRAIN_MASKS = ("_synthstrip", "_brainmask", "_brain_mask")
_FREESURFER_BRAIN_MASKS = ("brainmask.mgz",)
_ENDINGS = (".nii.gz", ".nii", ".mgz")

# Files by name, and by the last three parts of their path, `SUBJECT/mri/aseg.mgz`.
Index = Mapping[str, Sequence[Path]]


def index_segmentations(folder: Path | None) -> Index:
    """The files at any depth under the user's folder of segmentations; without a folder there are none."""
    from input_pipeline.raw.found_files import files_under  # the package's other modules import this one

    index = defaultdict(list)
    for path in files_under(folder) if folder else ():
        index[path.name].append(path)
        index["/".join(path.absolute().parts[-3:])].append(path)
    return dict(index)


def find_segmentation(image: Path, subject: str, index: Index) -> Path | None:
    """The user's segmentation of an image.

    Raises:
        InputError: where several files of the index are equally good.
    """
    return _find(image, subject, index, _SEGMENTATIONS, _FREESURFER_SEGMENTATIONS)


def find_brain_mask(image: Path, subject: str, index: Index) -> Path | None:
    """The user's brain mask of an image.

    Raises:
        InputError: where several files of the index are equally good.
    """
    return _find(image, subject, index, _BRAIN_MASKS, _FREESURFER_BRAIN_MASKS)


def make_segmentation(image: Path, out: Path) -> Path | None:
    """Segments an image with `mri_synthseg`, which takes many GiB: of the programs here one runs at a time in a folder.

    Args:
        image: the file.
        out: file to make; kept as it is where it exists. Its folder is made, too.

    Returns:
        `out`; None where the program is not installed.

    Raises:
        InputError: where the program fails, with the last line it said; nothing is left behind then.
    """
    return _make(image, out, "mri_synthseg", "--i", "--o", "--threads", "1", "--cpu")


def make_brain_mask(image: Path, out: Path) -> Path | None:
    """As `make_segmentation`: a brain mask with `mri_synthstrip`."""
    return _make(image, out, "mri_synthstrip", "-i", "-m")


def _find(
    image: Path, subject: str, index: Index, names: Sequence[str], freesurfer_names: Sequence[str]
) -> Path | None:
    stem = image.name[: len(image.name) - len(volume_ending(image))]
    files = [f"{stem}{name}{ending}" for name in names for ending in _ENDINGS]
    for key in (*files, *(f"{subject}/mri/{name}" for name in freesurfer_names)):
        found = {path.resolve(): path for path in index.get(key, ())}
        if len(found) > 1:
            first, second, *_ = found.values()
            raise InputError(f"{one_line(first)} and {one_line(second)}: both are named {key}, expected one file")
        if found:
            return next(iter(found.values()))
    return next((path for file in files if (path := image.with_name(file)).is_file()), None)


def _make(image: Path, out: Path, program: str, input_option: str, output_option: str, *others: str) -> Path | None:
    if out.is_file():
        return out
    if not (command := shutil.which(program)):
        return None
    with _alone_in(out.parent):
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
        raise InputError(f"{one_line(command[0])}: cannot be started ({error.strerror or error})") from error
    if result.returncode:
        said = [line.strip() for line in result.stderr.splitlines() if line.strip()]
        reason = f" ({said[-1]})" if said else ""
        raise InputError(f"{one_line(image)}: {program} failed with exit status {result.returncode}{reason}")


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Waits until no other process is here for this folder; a process that dies leaves at once."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "a")  # noqa: SIM115
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise InputError(f"{one_line(folder)}: cannot be written ({error.strerror or error})") from error
    with lock:
        yield
