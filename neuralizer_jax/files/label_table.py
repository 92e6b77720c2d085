"""Writes the table of a segmentation: the columns of a BIDS `dseg.tsv`, and what was measured."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from neuralizer_jax.errors import one_line
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.files.table_cell import plain_cell

# A structure is to be looked at below this confidence.
LEAST_DICE = 0.6

# The columns besides those of BIDS, as its JSON files describe them.
COLUMNS = {
    "voxels": {"Description": "Number of voxels that have the label"},
    "mm3": {"Description": "Their volume", "Units": "mm^3"},
    "confidence": {"Description": "Dice with the truth that is expected, 0 to 1"},
}

# BIDS: a value that is not known.
UNKNOWN = "n/a"


@dataclass(frozen=True)
class LabelRow:
    """One label.

    Attributes:
        label: its value.
        name: of the structure; empty if it is not known.
        voxels: that have the label.
        mm3: their volume.
        confidence: the Dice with the truth that is expected, 0 to 1.
    """

    label: int
    name: str
    voxels: int
    mm3: float
    confidence: float


def write_label_table(path: Path, rows: Iterable[LabelRow]) -> None:
    """Writes the columns index, name, voxels, mm3 and confidence, separated by tabs; `n/a` is what is not known.

    Raises:
        InputError: the file cannot be written.

    Example:
        >>> write_label_table(Path("dseg.tsv"), [LabelRow(17, "Left-Hippocampus", 3412, 3412.0, 0.91)])
        >>> print(Path("dseg.tsv").read_text().replace("\\t", " | "))
        index | name | voxels | mm3 | confidence
        17 | Left-Hippocampus | 3412 | 3412.0 | 0.910
        <BLANKLINE>
    """
    with written_whole(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(("index", "name", *COLUMNS))
        for row in rows:
            name = plain_cell(one_line(row.name)) or UNKNOWN
            confidence = f"{row.confidence:.3f}" if row.voxels else UNKNOWN
            writer.writerow((row.label, name, row.voxels, f"{row.mm3:.1f}", confidence))
