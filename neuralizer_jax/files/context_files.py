"""Which files show the task: a folder, or lists of files, in; example pairs of inputs and outputs out.

A pair is two image files of one folder whose names differ in the token `in`/`out` only: `ctx_in0.png` and
`ctx_out0.png`, `in_03.npy` and `out_03.npy`, `sub-01_in.nii.gz` and `sub-01_out.nii.gz`, `input_a.png` and
`output_a.png`. The token stands at the beginning of the name or after a character that is no letter or digit; its
case, and the image suffixes, do not matter.
"""

import itertools
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.image_files import IMAGE_SUFFIXES, image_stem, image_suffix
from neuralizer_jax.files.image_formats import one_line
from neuralizer_jax.files.natural_order import natural_order

_TOKEN = re.compile(r"(?<![^\W_])(in|out)", re.IGNORECASE)
# A token that was meant as one: `in`, `in0`, `in_a`, `input`; not `index` or `outline`, unless those pair up.
_MEANT = re.compile(r"(?<![^\W_])(in|out)(puts?)?(?![^\W\d_])", re.IGNORECASE)
# A pair name whose number is the pair's: the token's place, a separator or none, the number, the end.
_NUMBERED = re.compile(r"(.*\*(?:puts?)?[\W_]*)([0-9]{1,9})", re.IGNORECASE | re.DOTALL)
_EXPECTED_NAMES = "such as NAME_in0.png with NAME_out0.png, or in_0.nii.gz with out_0.nii.gz"
_MOST_NAMED = 5


@dataclass(frozen=True)
class ContextPairs:
    """Example pairs: `inputs[i]` is shown with `outputs[i]`. `notes` are sentences to tell the user, one line each."""

    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    notes: tuple[str, ...]


def find_pairs(folder: str | os.PathLike[str], *, targets: Iterable[str | os.PathLike[str]] = ()) -> ContextPairs:
    """Find the pairs in a folder, in natural order (2 before 10); folders inside it are not searched.

    Hidden files and files that are no images are passed over; images without the token, and missing numbers of a
    series, are noted. A target that lies in the folder without a partner is passed over.

    Raises:
        InputError: one line that begins with the path, when `folder` is none or holds no pair, when an input or output
            lacks its partner or could have two, and when a target is in a pair: the model would be shown the answer.
    """
    folder = Path(folder)
    try:
        entries = sorted(folder.iterdir(), key=lambda path: (natural_order(path.name.casefold()), path.name))
    except OSError as error:
        raise InputError(f"{one_line(folder)}: cannot be read as a folder ({error.strerror or error})") from error
    images = [p for p in entries if not p.name.startswith(".") and image_suffix(p) and p.is_file()]
    pairs, single = _match(folder, images)
    target_identities = {_identity(target) for target in targets}
    single = [path for path in single if _identity(path) not in target_identities]
    unpaired = [path for path in single if _MEANT.search(image_stem(path))]
    if unpaired:
        raise InputError(
            f"{one_line(folder)}: no partner for {_names(unpaired)}: expected every input with its output, "
            f"{_EXPECTED_NAMES}"
        )
    if not pairs:
        suffixes = ", ".join(IMAGE_SUFFIXES)
        raise InputError(f"{one_line(folder)}: no example pairs found: expected names {_EXPECTED_NAMES} ({suffixes})")
    inputs, outputs = zip(*pairs.values(), strict=True)
    _refuse_targets(inputs + outputs, target_identities)
    notes = [f"{one_line(folder)}: ignored {_names(single)}: not named as input or output"] if single else []
    notes += [f"{one_line(folder)}: {gap}" for gap in _gaps(pairs)]
    return ContextPairs(inputs, outputs, tuple(notes))


def explicit_pairs(
    inputs: Sequence[str | os.PathLike[str]],
    outputs: Sequence[str | os.PathLike[str]],
    *,
    targets: Iterable[str | os.PathLike[str]] = (),
) -> ContextPairs:
    """Pair the files of two lists, first with first. An input listed twice is noted.

    Whether the files can be read shows when they are read.

    Raises:
        InputError: lists that are empty or of different lengths, a file that is both an input and an output, or a
            target among them.
    """
    inputs, outputs = tuple(map(Path, inputs)), tuple(map(Path, outputs))
    if len(inputs) != len(outputs) or not inputs:
        raise InputError(
            f"{len(inputs)} context inputs and {len(outputs)} context outputs: expected at least one, "
            "and one output for every input"
        )
    _refuse_targets(inputs + outputs, {_identity(target) for target in targets})
    output_identities = {_identity(path) for path in outputs}
    seen, repeated = set(), []
    for path in inputs:
        identity = _identity(path)
        if identity in output_identities:
            raise InputError(f"{one_line(path)}: is both a context input and a context output")
        if identity in seen:
            repeated.append(path)
        seen.add(identity)
    notes = (f"context inputs given more than once: {_names(repeated)}",) if repeated else ()
    return ContextPairs(inputs, outputs, notes)


def _match(folder: Path, images: Sequence[Path]) -> tuple[dict[str, tuple[Path, Path]], list[Path]]:
    """Pairs by their name with `*` for the token, and the images left over, both in the order of `images`."""
    files: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for path in images:
        for name, role in _readings(path):
            files[name, role].append(path)
    pairs: dict[str, tuple[Path, Path]] = {}
    used: set[Path] = set()
    for path in images:
        # Of several tokens in a name the last one that finds a partner counts: fat_in_out0 is an output of fat_in_in0.
        for name, role in reversed(_readings(path)):
            inputs, outputs = files[name, "in"], files[name, "out"]
            if role != "in" or not outputs or used.intersection((path, *outputs)):
                continue
            if len(inputs) > 1 or len(outputs) > 1:
                raise InputError(f"{one_line(folder)}: several files for one pair: {_names(inputs + outputs)}")
            pairs[name] = (path, outputs[0])
            used.update(pairs[name])
    return pairs, [path for path in images if path not in used]


def _readings(path: Path) -> list[tuple[str, str]]:
    """Every way to read a name as a member of a pair: the name with `*` for the token, and `in` or `out`."""
    stem = image_stem(path)
    return [(f"{stem[: m.start()]}*{stem[m.end() :]}", m[1].lower()) for m in _TOKEN.finditer(stem)]


def _gaps(names: Iterable[str]) -> list[str]:
    """Sentences on the numbers that series of pair names such as `ctx_*0`, `ctx_*1`, `ctx_*3` leave out."""
    series: dict[str, set[int]] = defaultdict(set)
    for name in names:
        if match := _NUMBERED.fullmatch(name):
            series[match[1]].add(int(match[2]))
    gaps = []
    for prefix, numbers in series.items():
        missing = max(numbers) - min(numbers) + 1 - len(numbers)
        if missing:
            gone = (n for n in range(min(numbers), max(numbers)) if n not in numbers)
            shown = one_line(prefix.replace("*", "in"))
            listed = _and_more([f"{shown}{n}" for n in itertools.islice(gone, _MOST_NAMED)], missing)
            gaps.append(f"the numbering leaves out {listed}")
    return gaps


def _refuse_targets(paths: Iterable[Path], target_identities: set[object]) -> None:
    for path in paths:
        if _identity(path) in target_identities:
            raise InputError(
                f"{one_line(path)}: the target is in its own context, which would show the model the answer: "
                "take its pair out of the context"
            )


def _identity(path: str | os.PathLike[str]) -> object:
    """Equal for two paths to the same file, as os.path.samefile; a missing file equals its own path alone."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return os.path.abspath(path)
    return status.st_dev, status.st_ino


def _names(paths: Sequence[Path]) -> str:
    return _and_more([one_line(path.name) for path in paths[:_MOST_NAMED]], len(paths))


def _and_more(named: Sequence[str], total: int) -> str:
    """`a, b, c`, and how many are not named."""
    return ", ".join(named) + (f" and {total - len(named)} more" if total > len(named) else "")
