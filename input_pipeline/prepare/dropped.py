"""The table of what was left out of a dataset."""

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.files.table_cell import plain_cell


@dataclass(frozen=True)
class Dropped:
    """An image that was left out, or the whole subject if `image` is empty, and the reason."""

    subject: str
    image: str
    reason: str


def write_dropped_table(path: Path, dropped: Sequence[Dropped]) -> None:
    """Writes a CSV file with the columns subject, image, reason.

    Spreadsheet programs run a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return as a formula, and
    the cells contain names of downloaded files. Such a cell gets a single quote in front. Bytes of a name that are not
    UTF-8 are written as `\\udcxx`.

    Raises:
        InputError: the file cannot be written.
    """
    with (
        written_whole(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(("subject", "image", "reason"))
        writer.writerows(map(plain_cell, astuple(drop)) for drop in dropped)
