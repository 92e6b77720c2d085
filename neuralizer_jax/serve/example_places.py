"""Where a corrected scan is stored in the folder of examples, so that `neuralizer predict --context` finds it there.

A folder has one layout (`files/example_volumes.py`): a new example is stored as those that are there. An empty folder
gets `images/NAME` and `labels/NAME`; of 2-D images `NAME_in.png` and `NAME_out.png`.
"""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from neuralizer_jax.files.context_files import paired_files
from neuralizer_jax.files.endings import volume_ending
from neuralizer_jax.files.example_bids import bids_suffix
from neuralizer_jax.files.image_files import image_stem, image_suffix
from neuralizer_jax.serve.folders import Examples, Pair

_CHANNEL = re.compile(r"_\d{4}$")
_PAIR_WORD = re.compile(r"[\W_]*(?<![^\W_])(in|out)(puts?)?[0-9]*(?![^\W_])", re.IGNORECASE)


def new_places(scan: Path, context: Path, examples: Examples) -> Iterator[Pair]:
    """Places for a new example, the best one first. No file is there, except for an image that is the scan itself.

    Args:
        scan: its file.
        context: the folder of examples.
        examples: those that are there.

    Example:
        >>> pair = next(new_places(Path("new/case 7.nii.gz"), Path("ann"), Examples({}, None, ())))
        >>> pair.image.as_posix(), pair.output.as_posix()
        ('ann/images/case 7.nii.gz', 'ann/labels/case 7.nii.gz')
    """
    like = next(reversed([*examples.pairs.values()]), None)
    for number in itertools.count(1):
        pair = _place(_plain_name(image_stem(scan)), number, scan, context, like)
        if not pair.output.exists() and (pair.image == scan or not pair.image.exists()):
            yield pair


def _place(name: str, number: int, scan: Path, context: Path, like: Pair | None) -> Pair:
    """The example as a folder whose examples are like one of them has it, numbered if its name is taken."""
    ending = image_suffix(scan)
    if like and (suffix := bids_suffix(like.image)):
        return _bids(name, number, suffix, scan, context, like)
    bare, name = name, name if number == 1 else f"{name}-{number}"
    if like is None:
        if not volume_ending(scan):
            return Pair(context / f"{name}_in{ending}", context / f"{name}_out{ending}")
        return Pair(context / "images" / f"{name}{ending}", context / "labels" / f"{name}{ending}")
    if like.image in paired_files(context):
        return Pair(context / f"{name}_in{ending}", context / f"{name}_out{ending}")
    if like.image.parent.name == "mri" and like.output.name == "aseg.mgz":
        folder = context / name / "mri"
        return Pair(folder / "T1.mgz", folder / "aseg.mgz")
    if like.image.parent != like.output.parent:
        channel = found[0] if (found := _CHANNEL.search(image_stem(like.image))) else ""
        image = like.image.with_name(f"{name.removesuffix(channel)}{channel}{ending}")
        return Pair(image, like.output.with_name(f"{name.removesuffix(channel)}{ending}"))
    words = image_stem(like.output).removeprefix(image_stem(like.image))
    words = words if words != image_stem(like.output) else "_seg"
    name = name if number == 1 else f"{bare}n{number}"  # files are matched by the words of their names
    image = scan if number == 1 and context in scan.parents else context / f"{name}{ending}"
    return Pair(image, image.with_name(f"{name}{words}{ending}"))


def _bids(name: str, number: int, suffix: str, scan: Path, context: Path, like: Pair) -> Pair:
    ending, own = volume_ending(scan), bids_suffix(scan)
    subject, *entities = name.removesuffix(f"_{own}").split("_") if own else [f"sub-{_alphanumeric(name)}"]
    if number > 1:
        subject += f"n{number}"
    if own and number == 1 and context in scan.parents:
        folder = scan.parent
    elif like.image.parent == context:
        folder = context
    else:
        folder = context / subject / next((part for part in entities if part.startswith("ses-")), "") / "anat"
    stem = "_".join((subject, *entities))
    return Pair(folder / f"{stem}_{own or suffix}{ending}", folder / f"{stem}_dseg{ending}")


def _alphanumeric(name: str) -> str:
    return re.sub("[^A-Za-z0-9]", "", name) or "scan"


def _plain_name(name: str) -> str:
    """The name without the words that make pairs, and without characters that hide a file.

    >>> _plain_name(".case_in0-b")
    'case-b'
    """
    return _PAIR_WORD.sub("", name).strip("._- ") or "scan"
