"""Writes `scores.csv`: scores are appended as they come, and a later run continues where an earlier one ended."""

import csv
import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from neuralizer_jax.errors import InputError, OutputError
from neuralizer_jax.evaluation.scores import HEADER, Key, check_header, parse_rows
from neuralizer_jax.files.folder_lock import lock_file


class ScoresTable:
    """Appends scores to a file, one process at a time. A context manager.

    Attributes:
        path: of the file.
        known: keys (values of `scores.KEYS`) of the scores in the file.
    """

    def __init__(self, path: Path):
        """Opens the table, or creates it. A last line that was cut short is dropped.

        Raises:
            InputError: if the file cannot be written, another process uses it, or a line is damaged.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror})") from None
        try:
            lock_file(self._file)
        except BlockingIOError:
            self._file.close()
            raise InputError(f"{path}: another process is writing it, expected one at a time") from None
        try:
            self.known = self._read()
            if not self._file.tell():
                self._write([HEADER])
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes the file."""
        self._file.close()

    def append(self, rows: Iterable[tuple]) -> None:
        """Adds scores; they are on disk when this returns. Scores that are known already are left out.

        Args:
            rows: values of `scores.KEYS`, then the score; NaN if it is missing.

        Raises:
            InputError: if they cannot be written, or a name has a line break in it.
        """
        rows = [row for row in rows if row[:-1] not in self.known]
        for row in rows:
            if wrong := [name for name in row[:-1] if isinstance(name, str) and not name.isprintable()]:
                raise InputError(f"{self.path}: {wrong[0]!r} cannot be in the table, expected a printable name")
        self._write([(*row[:-1], f"{row[-1]:.6g}" if math.isfinite(row[-1]) else "nan") for row in rows])
        self.known.update(row[:-1] for row in rows)

    def _read(self) -> set[Key]:
        self._file.seek(0)
        data = self._file.read()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            self._file.truncate(len(whole))
            self._file.seek(0, io.SEEK_END)
        try:
            header, *rows = csv.reader(io.StringIO(whole.decode("utf-8"), newline="")) if whole else [HEADER]
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{self.path}: is no table of scores ({error}), expected CSV") from None
        check_header(header, self.path)
        return set(parse_rows(rows, str(self.path), first_line=2))

    def _write(self, rows: Iterable[Iterable]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        try:
            self._file.write(text.getvalue().encode("utf-8"))
            self._file.flush()
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written ({error.strerror or error})") from None
