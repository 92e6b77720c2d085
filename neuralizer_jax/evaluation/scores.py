"""The scores of an evaluation, as columns: what statistics, figures and tables are computed from."""

import csv
import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from neuralizer_jax.errors import InputError

# What a value belongs to; the last column of the file is the value. n: context members, for a baseline its training
# subjects. draw: which random context.
KEYS = ("experiment", "model", "task", "dataset", "modality", "class", "n", "subject", "draw", "metric")
_COUNTS = ("n", "draw")

# Of these a value may be missing: where a mask is empty there is no distance.
_MAY_BE_MISSING = ("hd95",)


@dataclass(frozen=True, eq=False)
class Scores:
    """A table of scores, a row a value.

    Attributes:
        codes: of each column in `KEYS`, int `[R]`: places in its `names`.
        names: of each column, what occurs in it, sorted: numbers of `n` and `draw`, text of the others.
        value: float `[R]`: dice and ssim up to 1, psnr in dB, hd95 in mm, where NaN or infinite ones are missing.
    """

    codes: Mapping[str, np.ndarray]
    names: Mapping[str, tuple[Any, ...]]
    value: np.ndarray

    def __len__(self) -> int:
        """Rows."""
        return len(self.value)

    def rows(self, keep: np.ndarray) -> Self:
        """Some rows, by a mask `[R]` or by their places."""
        codes = {column: codes[keep] for column, codes in self.codes.items()}
        return type(self)(codes, self.names, self.value[keep])

    def where(self, **wanted: Any) -> Self:
        """The rows that have, in each column named, the value or one of the collection of values given.

        `class` is written `where(**{"class": ...})`.
        """
        keep = np.ones(len(self), bool)
        for column, values in wanted.items():
            values = {values} if isinstance(values, str | int) else set(values)
            keep &= np.array([name in values for name in self.names[column]], bool)[self.codes[column]]
        return self.rows(keep)

    def columns(self) -> dict[str, list[Any]]:
        """The table as plain lists, a column each; a value that is missing is None."""
        table = {name: [self.names[name][code] for code in self.codes[name]] for name in KEYS}
        return table | {"value": [value if math.isfinite(value) else None for value in self.value.tolist()]}

    def unique(self, column: str) -> list[Any]:
        """What occurs in a column, sorted."""
        return [self.names[column][code] for code in np.unique(self.codes[column])]

    def groups(self, *columns: str) -> tuple[np.ndarray, np.ndarray]:
        """Rows that are alike in some columns.

        Returns:
            `[R]` the number of each row's group, from 0, in the order of the columns' names, and `[G]` the place of one
            row of each.
        """
        ids, first = np.zeros(len(self), np.int64), np.zeros(min(len(self), 1), np.int64)
        for column in columns:
            ids = ids * len(self.names[column]) + self.codes[column]
            _, first, ids = np.unique(ids, return_index=True, return_inverse=True)
        return ids, first

    def at(self, row: int, *columns: str) -> tuple[Any, ...]:
        """What some columns hold in a row."""
        return tuple(self.names[column][self.codes[column][row]] for column in columns)


def scores_of(rows: Iterable[tuple], where: str = "scores", first_line: int = 1) -> Scores:
    """A table of rows, sorted by `KEYS`: in which order they came makes no difference.

    Args:
        rows: each of the values of `KEYS` and the score, as text or as numbers.
        where: what errors name.
        first_line: number of the first row in errors.

    Raises:
        InputError: for a row with another number of values, with a count or a score that is none, for a score that is
            missing where it may not be, and for two rows that differ in the score alone.
    """
    rows = list(rows)
    for line, row in enumerate(rows, first_line):
        if len(row) != len(KEYS) + 1:
            raise InputError(f"{where}, line {line}: {len(row)} values, expected {len(KEYS) + 1}")
    *columns, values = list(zip(*rows, strict=True)) or [()] * (len(KEYS) + 1)
    codes, names = {}, {}
    for column, cells in zip(KEYS, columns, strict=True):
        places: dict[Any, int] = {}
        found = np.array([places.setdefault(cell, len(places)) for cell in cells], np.int64)
        known = list(places)
        if column in _COUNTS:
            known = [_count(cell, f"{where}, line {cells.index(cell) + first_line}, {column}") for cell in places]
        names[column] = tuple(sorted(set(known)))
        codes[column] = np.array([names[column].index(name) for name in known], np.int64)[found]
    scores = [_score(*cells, f"{where}, line") for cells in zip(values, columns[-1], itertools.count(first_line))]
    table = Scores(codes, names, np.array(scores, np.float64))
    ids, first = table.groups(*KEYS)
    if len(first) < len(table):
        second = int(np.setdiff1d(np.arange(len(table)), first)[0])
        one = int(first[ids[second]])
        raise InputError(
            f"{where}: lines {one + first_line} and {second + first_line} are of the same"
            f" ({', '.join(str(name) for name in table.at(second, *KEYS))}), expected one score of each"
        )
    return table.rows(first)


def read_scores(path: Path) -> Scores:
    """Reads `scores.csv`: a header, `KEYS` and `value`, then a row a score.

    Raises:
        InputError: a file that cannot be read, has another header, no row, or rows that `scores_of` does not take.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            lines = csv.reader(stream)
            header = next(lines, [])
            if header != [*KEYS, "value"]:
                raise InputError(f"{path}: its columns are {','.join(header)}, expected {','.join(KEYS)},value")
            table = scores_of(lines, str(path), first_line=2)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is no table of scores ({error}), expected CSV") from None
    if not len(table):
        raise InputError(f"{path}: has no row, expected scores")
    return table


def _count(text: str | int, where: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise InputError(f"{where}: {text!r}, expected a whole number, 0 or more")
    return number


def _score(text: str | float, metric: str, line: int, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{where} {line}: score {text!r}, expected a number") from None
    if not math.isfinite(value) and metric not in _MAY_BE_MISSING:
        raise InputError(f"{where} {line}: {metric} is {value}, expected a finite number")
    return value
