"""`neuralizer bids ... group`: one table of all structures of all scans, and one page that lists the scans."""

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.files.bids_name import name_of_file
from neuralizer_jax.files.bids_scans import chosen_labels, labels_in
from neuralizer_jax.files.context_files import named
from neuralizer_jax.files.label_table import COLUMNS, UNKNOWN
from neuralizer_jax.files.result_record import is_as_predicted, read_record
from neuralizer_jax.files.table_cell import plain_cell
from neuralizer_jax.files.volume_grid import read_grid, read_labels
from neuralizer_jax.report.volume_index import write_volume_index

_COLUMNS = {
    "participant_id": {"Description": "The subject"},
    "session_id": {"Description": "The session, n/a where there is none"},
    "scan": {"Description": "The scan, a path in the source dataset"},
    "brain_mm3": {"Description": "Volume of the brain mask of the scan", "Units": "mm^3"},
    "index": {"Description": "The label"},
    "name": {"Description": "Name of the structure"},
    **COLUMNS,
    "confidence": {"Description": "Dice with the truth that is expected, 0 to 1; n/a if it was corrected by hand"},
}
_ENDING = "_dseg.nii.gz"


def collect_tables(options: argparse.Namespace) -> int:
    """Runs the command; returns 0.

    Raises:
        InputError: there are no results, or a file cannot be read or written.
    """
    out: Path = options.output_dir
    if not out.is_dir():
        raise InputError(f"{one_line(out)}: is no folder, expected the results of `neuralizer bids ... participant`")
    there = labels_in(out, "sub")
    wanted = chosen_labels(there, options.participant_label, "sub", "--participant-label")
    sessions = None
    if options.session_label is not None:
        known = {session for subject in wanted for session in labels_in(out / f"sub-{subject}", "ses")}
        sessions = chosen_labels(sorted(known), options.session_label, "ses", "--session-label")
    maps = [path for subject in wanted for path in sorted((out / f"sub-{subject}").glob(f"**/anat/*{_ENDING}"))]
    corrected: list[Path] = []
    rows = [row for path in maps for row in _rows(out, path, corrected)]
    if sessions is not None:
        rows = [row for row in rows if row["session_id"].removeprefix("ses-") in sessions]
    if not rows:
        raise InputError(f"{one_line(out)}: has no results, expected those of `neuralizer bids ... participant`")
    if corrected:
        print(f"neuralizer: note: {named(corrected)}: corrected by hand, volumes are of what it holds", file=sys.stderr)
    done = {row["participant_id"] for row in rows}
    lacking = [name for label in labels_in(options.bids_dir, "sub") if (name := f"sub-{label}") not in done]
    if options.participant_label is sessions is None and lacking:
        names = ", ".join(lacking[:10]) + (", ..." if len(lacking) > 10 else "")
        print(f"neuralizer: note: {names}: no results yet", file=sys.stderr)
    table = out / "group_dseg.tsv"
    with written_whole(table) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(_COLUMNS), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    described = table.with_suffix(".json")
    with written_whole(described) as temporary:
        temporary.write_text(json.dumps(_COLUMNS, indent=1) + "\n", encoding="utf-8")
    pages = [page for subject in wanted for page in (out / f"sub-{subject}.html", *_figures(out, subject))]
    index = out / "group.html"
    write_volume_index(index, [page for page in pages if page.is_file()])
    print("\n".join(map(one_line, (table, described, index))))
    return 0


def _figures(out: Path, subject: str) -> Iterator[Path]:
    return (out / f"sub-{subject}" / "figures").glob("*.html")


def _rows(out: Path, labels: Path, corrected: list[Path]) -> Iterator[dict[str, Any]]:
    """The rows of one scan; none if its label map is not one of this program."""
    stem = labels.name.removesuffix(_ENDING)
    record = read_record(labels.with_name(f"{stem}_dseg.json"))
    if not record:
        return
    entities = name_of_file(labels.relative_to(out), f"{stem}_dseg").entities
    sources = record.get("Sources")
    scan = str(sources[0]).partition(":")[2].partition(":")[2] if isinstance(sources, list) and sources else UNKNOWN
    first = {
        "participant_id": f"sub-{entities['sub']}",
        "session_id": f"ses-{entities['ses']}" if "ses" in entities else UNKNOWN,
        "scan": plain_cell(one_line(scan)),
        "brain_mm3": _brain_mm3(labels.with_name(f"{stem}_desc-brain_mask.nii.gz")),
    }
    counted = None
    if not is_as_predicted(labels, record):
        corrected.append(labels)
        counted = _counted(labels)
    table = labels.with_name(f"{stem}_dseg.tsv")
    for row in _table(table):
        if counted is not None:
            voxels, mm3 = counted.pop(int(row["index"]), (0, 0.0))
            row |= {"voxels": voxels, "mm3": f"{mm3:.1f}", "confidence": UNKNOWN}
        yield first | row
    for label, (voxels, mm3) in (counted or {}).items():
        size = {"voxels": voxels, "mm3": f"{mm3:.1f}", "confidence": UNKNOWN}
        yield first | {"index": label, "name": UNKNOWN} | size


def _brain_mm3(mask: Path) -> str:
    if not mask.exists():
        return UNKNOWN
    voxels = int(np.count_nonzero(read_labels(mask)))
    return f"{voxels * read_grid(mask).voxel_mm3:.1f}"


def _table(path: Path) -> list[dict[str, Any]]:
    wanted = ("index", "name", *COLUMNS)
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        table = [{key: row[key] for key in wanted} for row in rows]
        if all(str(row["index"]).isdecimal() for row in table):
            return table
    except (OSError, ValueError, KeyError, csv.Error):
        pass
    raise InputError(f"{one_line(path)}: cannot be read, expected a table with {', '.join(wanted)}")


def _counted(labels: Path) -> dict[int, tuple[int, float]]:
    """Voxels and mm^3 of each label."""
    voxel_mm3 = read_grid(labels).voxel_mm3
    values, voxels = np.unique(read_labels(labels), return_counts=True)
    return {
        int(value): (int(count), float(count * voxel_mm3)) for value, count in zip(values, voxels, strict=True) if value
    }
