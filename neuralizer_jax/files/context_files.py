"""Finds the context pairs in a folder or in lists of files.

Two image files of a folder are a pair if their names differ only in the token `in` or `out`: `ctx_in0.png` and
`ctx_out0.png`, `in_03.npy` and `out_03.npy`, `sub-01_in.nii.gz` and `sub-01_out.nii.gz`, `input_a.png` and
`output_a.png`. The token is at the start of the name or after a character that is not a letter or digit. Its case and
the image suffixes do not matter, nor does the form of Unicode: macOS may store an accent as a character of its own.
"""

import itertools
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.image_files import IMAGE_SUFFIXES, image_stem, image_suffix
from neuralizer_jax.files.natural_order import natural_order

_TOKEN = re.compile(r"(?<![^\W_])(in|out)", re.IGNORECASE)
# A token that needs a partner: `in`, `in0`, `in_a`, `input`. `index` and `outline` may pair, but need not.
_MEANT = re.compile(r"(?<![^\W_])(in|out)(puts?)?(?![^\W\d_])", re.IGNORECASE)
# A name of a pair that ends in a number after the token, such as `ctx_*0`.
_NUMBERED = re.compile(r"(.*\*(?:puts?)?[\W_]*)([0-9]{1,9})", re.IGNORECASE | re.DOTALL)
_EXPECTED_NAMES = "such as NAME_in0.png with NAME_out0.png, or in_0.nii.gz with out_0.nii.gz"
_MOST_NAMED = 5


@dataclass(frozen=True)
class ContextPairs:
    """Context pairs: `outputs[i]` belongs to `inputs[i]`. `notes` are sentences for the user, one line each."""

    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    notes: tuple[str, ...]


def find_pairs(folder: str | os.PathLike[str], *, targets: Iterable[str | os.PathLike[str]] = ()) -> ContextPairs:
    """Finds the pairs in a folder, in natural order (2 before 10), without its subfolders.

    Hidden files, other kinds of files, and targets without a partner are ignored. Images without the token and missing
    numbers of a series are noted.

    Raises:
        InputError: `folder` is no folder or holds no pair, an image has no partner or several, or a target is in a
            pair; begins with the path.

    Example:
        >>> for name in ("ctx_in0.png", "ctx_out0.png", "target_in.png"):
        ...     Path(name).touch()
        >>> pairs = find_pairs(".", targets=["target_in.png"])
        >>> [path.name for path in (*pairs.inputs, *pairs.outputs)]
        ['ctx_in0.png', 'ctx_out0.png']
    """
    folder = Path(folder)
    pairs, single = _match(folder, _images(folder))
    target_identities = {identity(target) for target in targets}
    single = [path for path in single if identity(path) not in target_identities]
    unpaired = [path for path in single if _MEANT.search(image_stem(path))]
    if unpaired:
        raise InputError(
            f"{one_line(folder)}: no partner for {named(unpaired)}: expected every input with its output, "
            f"{_near_miss(unpaired)}{_EXPECTED_NAMES}"
        )
    if not pairs:
        suffixes = ", ".join(IMAGE_SUFFIXES)
        raise InputError(f"{one_line(folder)}: no context pairs found, expected names {_EXPECTED_NAMES} ({suffixes})")
    inputs, outputs = zip(*pairs.values(), strict=True)
    refuse_targets(inputs + outputs, target_identities)
    notes = [f"{one_line(folder)}: ignored {named(single)}: not named as input or output"] if single else []
    notes += [f"{one_line(folder)}: {gap}" for gap in _gaps(pairs)]
    return ContextPairs(inputs, outputs, tuple(notes))


def paired_files(folder: Path) -> set[Path]:
    """The files of the pairs of a folder. Raises InputError where several files are one of a pair."""
    return {path for pair in _match(folder, _images(folder))[0].values() for path in pair}


def explicit_pairs(
    inputs: Sequence[str | os.PathLike[str]],
    outputs: Sequence[str | os.PathLike[str]],
    *,
    targets: Iterable[str | os.PathLike[str]] = (),
) -> ContextPairs:
    """Pairs the files of two lists in their order, without opening them. A repeated input is noted.

    Raises:
        InputError: the lists are empty or of different lengths, a file is both an input and an output, or a target is
            among them.
    """
    in_paths, out_paths = tuple(map(Path, inputs)), tuple(map(Path, outputs))
    if len(in_paths) != len(out_paths) or not in_paths:
        raise InputError(
            f"{len(in_paths)} context inputs and {len(out_paths)} context outputs, expected at least one, "
            "and one output for every input"
        )
    refuse_targets(in_paths + out_paths, {identity(target) for target in targets})
    output_identities = {identity(path) for path in out_paths}
    seen, repeated = set(), []
    for path in in_paths:
        own = identity(path)
        if own in output_identities:
            raise InputError(f"{one_line(path)}: is both a context input and a context output, expected one of them")
        if own in seen:
            repeated.append(path)
        seen.add(own)
    notes = (f"context inputs given more than once: {named(repeated)}",) if repeated else ()
    return ContextPairs(in_paths, out_paths, notes)


def _images(folder: Path) -> list[Path]:
    """The image files of a folder in natural order, without hidden ones."""
    try:
        entries = sorted(folder.iterdir(), key=lambda path: (natural_order(path.name.casefold()), path.name))
    except OSError as error:
        raise InputError(f"{one_line(folder)}: cannot be read as a folder ({error.strerror or error})") from error
    return [p for p in entries if not p.name.startswith(".") and image_suffix(p) and p.is_file()]


def _match(folder: Path, images: Sequence[Path]) -> tuple[dict[str, tuple[Path, Path]], list[Path]]:
    """Returns the pairs by their name with `*` for the token, and the images without a partner."""
    files: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for path in images:
        for name, role in _readings(path):
            files[name, role].append(path)
    pairs: dict[str, tuple[Path, Path]] = {}
    used: set[Path] = set()
    for path in images:
        # The last token with a partner counts: fat_in_out0 is the output of fat_in_in0.
        for name, role in reversed(_readings(path)):
            inputs, outputs = files[name, "in"], files[name, "out"]
            if role != "in" or not outputs or used.intersection((path, *outputs)):
                continue
            if len(inputs) > 1 or len(outputs) > 1:
                found = [path.name for path in inputs + outputs]
                same = len({unicodedata.normalize("NFC", name) for name in found}) < len(found)
                raise InputError(
                    f"{one_line(folder)}: several files for one pair: {named(inputs + outputs)}"
                    + ", of which some have one name in two forms of Unicode (NFC and NFD)" * same
                )
            pairs[name] = (path, outputs[0])
            used.update(pairs[name])
    return pairs, [path for path in images if path not in used]


def _readings(path: Path) -> list[tuple[str, str]]:
    """Returns for each token in a name: the name with `*` in its place, and `in` or `out`."""
    stem = unicodedata.normalize("NFC", image_stem(path))
    return [(f"{stem[: m.start()]}*{stem[m.end() :]}", m[1].lower()) for m in _TOKEN.finditer(stem)]


def _near_miss(unpaired: Sequence[Path]) -> str:
    """Returns a hint if inputs and outputs among the files would pair without regard to case and width of letters."""
    roles: dict[str, set[str]] = defaultdict(set)
    for path in unpaired:
        for name, role in _readings(path):
            roles[unicodedata.normalize("NFKC", name).casefold()].add(role)
    near = any(len(found) == 2 for found in roles.values())
    return "with the same upper and lower case and width of characters, " if near else ""


def _gaps(names: Iterable[str]) -> list[str]:
    """Returns sentences on missing numbers in series of pair names such as `ctx_*0`, `ctx_*1`, `ctx_*3`."""
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


def refuse_targets(paths: Iterable[Path], target_identities: set[object]) -> None:
    """Raises InputError if a target, as `identity` has it, is among some files."""
    for path in paths:
        if identity(path) in target_identities:
            raise InputError(
                f"{one_line(path)}: the target is in its own context, which would show the model the answer, "
                "expected a context without it"
            )


def identity(path: str | os.PathLike[str]) -> object:
    """Returns an object that is equal for two paths to the same file; for a missing file, the path."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return os.path.abspath(path)
    return status.st_dev, status.st_ino


def named(paths: Sequence[Path]) -> str:
    """Returns the names of some files, of many the first ones."""
    return _and_more([one_line(path.name) for path in paths[:_MOST_NAMED]], len(paths))


def _and_more(named: Sequence[str], total: int) -> str:
    """Returns `a, b, c and 2 more`."""
    return ", ".join(named) + (f" and {total - len(named)} more" if total > len(named) else "")
