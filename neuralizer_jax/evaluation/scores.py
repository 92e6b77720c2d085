"""The table of scores: one row for a metric of a model's prediction of a case.

    experiment, model, kind, train_subjects, training, context_size, task, dataset, modality, class, plane, position,
    subject, draw, metric, value

`context_size` is 0 for a baseline, which has no context. `train_subjects` is the number of subjects that a baseline was
trained on, or `all`, and empty for other models; `training` tells several trainings with as many subjects apart. Of
whole scans `plane` is `volume`, `position` 0 and `context_size` the number of examples.
"""

import csv
import math
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import pandas as pd

from neuralizer_jax.errors import InputError

MODEL_KEYS = ("model", "kind", "train_subjects", "training")
CASE_KEYS = ("task", "dataset", "modality", "class", "plane", "position", "subject", "draw")

# The columns that identify a score; the last column of the file is the score.
KEYS = ("experiment", *MODEL_KEYS, "context_size", *CASE_KEYS, "metric")
HEADER = [*KEYS, "value"]
Key = tuple[str | int, ...]

# Baselines that were trained on every subject of a dataset.
ALL = "all"

_COUNTS = [KEYS.index(name) for name in ("training", "context_size", "draw")]
_POSITION = KEYS.index("position")
_KIND, _SUBJECTS, _SIZE = (KEYS.index(name) for name in ("kind", "train_subjects", "context_size"))

# Dice in each tenth of a structure's length along y, from posterior to anterior.
TENTHS = tuple(f"dice_y{tenth}" for tenth in range(1, 11))

# Metrics that may be missing: there is no distance to an empty mask, and no Dice where truth and prediction are empty.
_MAY_BE_MISSING = ("hd95", *TENTHS)


class Kind(StrEnum):
    """What kind of model a score belongs to."""

    IN_CONTEXT = "in-context"
    BASELINE = "baseline"
    UNTRAINED = "untrained"


_KINDS = frozenset(Kind)


def parse_rows(rows: Iterable[Sequence[Any]], where: str = "scores", first_line: int = 1) -> dict[Key, float]:
    """Checks rows and gives the score for each key.

    Args:
        rows: values of `KEYS`, then the score, as text or as numbers.
        where: name of the table, for error messages.
        first_line: number of the first row, for error messages.

    Raises:
        InputError: for a row with too few or too many values, a count or score that is no number, a score that is
            missing though its metric always exists, a kind with columns that do not fit it, or a key that occurs twice.
    """
    scores: dict[Key, float] = {}
    lines: dict[Key, int] = {}
    for line, row in enumerate(rows, first_line):
        at = f"{where}, line {line}"
        if len(row) != len(HEADER):
            raise InputError(f"{at}: {len(row)} values, expected {len(HEADER)}")
        cells: list[Any] = [*map(str, row[:-1])]
        for place in _COUNTS:
            cells[place] = _whole_number(row[place], at, KEYS[place], 0)
        cells[_POSITION] = _whole_number(row[_POSITION], at, "position", -1000)
        _check_kind(cells[_KIND], cells[_SUBJECTS], cells[_SIZE], at)
        key, score = tuple(cells), _score(row[-1], cells[-1], at)
        if key in scores:
            raise InputError(
                f"{where}: lines {lines[key]} and {line} are of the same ({', '.join(map(str, key))}), expected one"
                " score of each"
            )
        scores[key], lines[key] = score, line
    return scores


def scores_of(rows: Iterable[Sequence[Any]], where: str = "scores", first_line: int = 1) -> pd.DataFrame:
    """The table of some rows, see `parse_rows`; sorted, so the order of the rows makes no difference.

    Returns:
        Columns `KEYS`, `value`, and `size`: what models are compared along, that is the context size, or for a baseline
        its number of training subjects (infinity for all).
    """
    found = parse_rows(rows, where, first_line)
    table = pd.DataFrame([(*key, value) for key, value in found.items()], columns=HEADER)
    table = table.sort_values(list(KEYS), ignore_index=True)
    subjects = table["train_subjects"].replace({ALL: "inf", "": "nan"}).astype(float)
    return table.assign(size=subjects.fillna(table["context_size"]))


def read_scores(path: Path) -> pd.DataFrame:
    """Reads `scores.csv` into the table of `scores_of`.

    Raises:
        InputError: if the file cannot be read, has another header, no rows, or rows that `parse_rows` refuses.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            lines = csv.reader(stream)
            check_header(next(lines, []), path)
            table = scores_of(lines, str(path), first_line=2)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is no table of scores ({error}), expected CSV") from None
    if table.empty:
        raise InputError(f"{path}: has no row, expected scores")
    return table


def check_header(header: list[str], path: Path) -> None:
    """Raises InputError for a table with other columns, for example one of an earlier version."""
    if header != HEADER:
        earlier = "experiment" in header
        hint = " (from an earlier version: evaluate again, into another folder)" if earlier else ""
        raise InputError(f"{path}: its columns are {','.join(header)}, expected {','.join(HEADER)}{hint}")


def _check_kind(kind: str, subjects: str, size: int, at: str) -> None:
    if kind not in _KINDS:
        raise InputError(f"{at}: kind {kind!r}, expected {', '.join(Kind)}")
    found = f"{kind} with train_subjects {subjects!r} and context_size {size}"
    if kind == Kind.BASELINE:
        if size or not (subjects == ALL or (subjects.isdecimal() and int(subjects) > 0)):
            raise InputError(f"{at}: {found}, expected a number or all, and context_size 0")
    elif subjects or not size:
        raise InputError(f"{at}: {found}, expected no train_subjects, and a context")


def _whole_number(text: str | int, at: str, name: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise InputError(f"{at}, {name}: {text!r}, expected a whole number, {least} or more")
    return number


def _score(text: str | float, metric: str, at: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{at}: score {text!r}, expected a number") from None
    if not math.isfinite(value) and metric not in _MAY_BE_MISSING:
        raise InputError(f"{at}: {metric} is {value}, expected a finite number")
    return value
