"""Names of labels: BIDS `dseg.tsv`, colour tables of FreeSurfer and ITK-SNAP, nnU-Net's `dataset.json`, two columns.

`find_label_names` looks for such a table beside examples.
"""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path

from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.bids_name import parse_name
from neuralizer_jax.files.bids_sidecars import find_table
from neuralizer_jax.files.endings import volume_ending
from neuralizer_jax.files.image_formats import check_is_file, reading
from neuralizer_jax.files.result_record import read_record

_MAX_BYTES = 2**24
# ITK-SNAP: number, red, green, blue, three more numbers, name in quotes.
_ITK_SNAP = re.compile(r' *(\d{1,9})(?: +[\d.]+){6} +"([^"]*)"')
# Columns between tabs or commas, whose names may hold spaces, or between spaces.
_LINE = re.compile(r" *(\d{1,9})(?:[\t,] *([^\t,]*[^\t, ])| +(\S+))")
# Tables that lie at the top of a folder of examples.
_TABLES = ("dataset.json", "*dseg.tsv", "*LUT.txt", "*.ctab", "labels.tsv", "labels.csv", "labels.txt")

# From `derivatives/NAME/sub-01/ses-1/anat` up to the dataset.
_LEVELS = 6


def read_label_names(path: Path) -> dict[int, str]:
    """Reads the name of each label; lines that do not begin with a number are passed over.

    Raises:
        InputError: the file cannot be read, or no line has a number and a name.

    Example:
        >>> _ = Path("dseg.tsv").write_text("index\\tname\\n17\\tLeft-Hippocampus\\n53\\tRight-Hippocampus\\n")
        >>> read_label_names(Path("dseg.tsv"))
        {17: 'Left-Hippocampus', 53: 'Right-Hippocampus'}
    """
    check_is_file(path)
    with reading(path), open(path, encoding="utf-8-sig") as stream:
        text = stream.read(_MAX_BYTES)
        names = _of_json(text) if path.suffix.lower() == ".json" else _of_columns(text) or _of_lines(text)
    names = {label: name for label, name in names.items() if name != "n/a"}  # BIDS: not known
    if not names:
        raise InputError(f"{one_line(path)}: has no label names, expected lines such as 17 Left-Hippocampus")
    return names


def find_label_names(folder: Path | None, labels: Sequence[Path]) -> tuple[dict[int, str], list[str]]:
    """Looks for the table of some label maps: where BIDS has it for the first of them, or at the top of their folder.

    Args:
        folder: the folder of the examples, or None.
        labels: the label maps.

    Returns:
        The names, and notes on tables that were passed over.
    """
    found = [path for pattern in _TABLES for path in sorted(folder.glob(pattern))] if folder else []
    if labels and (table := _table_of(labels[0], folder)):
        found = [table, *(path for path in found if not path.name.endswith("dseg.tsv"))]
    predicted = [path for path in found if read_record(path.with_suffix(".json"))]
    found = [path for path in found if path not in predicted] or predicted
    notes: list[str] = []
    for number, path in enumerate(found):
        try:
            names = read_label_names(path)
        except InputError as error:
            notes += [f"{error}; the table is passed over"] if path not in predicted else []
            continue
        if others := found[number + 1 :]:
            notes.append(f"{one_line(path)}: names of labels are taken from it, not from {one_line(others[0].name)}")
        return names, notes
    return {}, notes


def _table_of(labels: Path, folder: Path | None) -> Path | None:
    """The table of a label map that is named as in BIDS, in its folder or above, inside of `folder`."""
    try:
        name = parse_name(labels.name[: -len(volume_ending(labels))])
    except InputError:
        return None
    folders = [path for path in labels.parents[:_LEVELS] if folder is None or path.is_relative_to(folder)]
    return find_table(labels, name, {path: sorted(path.glob("*dseg.tsv")) for path in folders})


def _of_json(text: str) -> dict[int, str]:
    """`labels` of nnU-Net, `{"hippocampus": 1}`, or of its first version, `{"1": "hippocampus"}`; 0 is background."""
    content = json.loads(text)
    labels = content.get("labels", {}) if isinstance(content, dict) else {}
    names = {}
    for key, value in labels.items() if isinstance(labels, dict) else ():
        number, name = (key, value) if isinstance(value, str) else (value, key)
        if str(number).isdecimal() and isinstance(name, str) and len(str(number)) < 10:
            names[int(number)] = name
    return names


def _of_columns(text: str) -> dict[int, str]:
    """Columns `index` and `name` at any place, as in BIDS."""
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    if not {"index", "name"} <= set(rows.fieldnames or ()):
        return {}
    return {int(row["index"]): row["name"] for row in rows if (row["index"] or "").isdecimal() and row["name"]}


def _of_lines(text: str) -> dict[int, str]:
    names = {}
    for line in text.splitlines():
        if match := _ITK_SNAP.match(line):
            names[int(match[1])] = match[2]
        elif match := _LINE.match(line):
            names[int(match[1])] = match[2] or match[3]
    return names
