"""The report on a folder of segmented scans: the volumes of their structures, and which ones to look at.

The scans' tables are those that `neuralizer predict` writes beside label maps, `sub-09_dseg.tsv`.
"""

import csv
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.files.folder_tree import files_under
from neuralizer_jax.files.table_cell import plain_cell
from neuralizer_jax.report.figure_style import save_figure
from neuralizer_jax.report.page import Block, Picture, write_page
from neuralizer_jax.report.table_formats import NOTHING, Cell, Table
from neuralizer_jax.report.tables import natural_key
from neuralizer_jax.report.volume_figures import MOST_STRUCTURES, volumes_figure

ENDING = "dseg.tsv"
_COLUMNS = ("index", "name", "mm3", "confidence")
_MOST_BYTES = 2**24

# A structure is odd if its volume is so many robust standard deviations from the median of so many scans or more
# (Iglewicz and Hoaglin, 1993), or if its expected Dice is below this.
_ODD_Z, _LEAST_SCANS, _LEAST_DICE = 3.5, 5, 0.6

_MOST_ROWS = 50
_INCH = 130  # CSS pixels


def find_tables(folder: Path) -> list[Path]:
    """The tables of segmented scans in a folder, at any depth; tables that only name labels are passed over."""
    return [path for path in files_under(folder) if path.name.endswith(ENDING) and _has_volumes(path)]


def read_volumes(folder: Path, tables: list[Path]) -> pd.DataFrame:
    """A row for each structure of each scan: `subject`, `structure`, `mm3`, and `confidence` (NaN: not known).

    Raises:
        InputError: a table is damaged.
    """
    stems = [path.name.removesuffix(ENDING).rstrip("_") for path in tables]
    times = Counter(stems)
    rows: list[tuple[str, str, float, float]] = []
    for path, stem in zip(tables, stems, strict=True):
        subject = stem if stem and times[stem] == 1 else path.relative_to(folder).as_posix()
        rows += [(one_line(subject), *row) for row in _rows(path)]
    volumes = pd.DataFrame(rows, columns=["subject", "structure", "mm3", "confidence"])
    return volumes.astype({"mm3": float, "confidence": float})


def write_volumes_report(folder: Path, tables: list[Path], out: Path) -> tuple[list[Path], list[str]]:
    """Writes the report: `figure_volumes` (PNG, SVG), `volumes.tsv` (a row a scan, mm^3) and `index.html`.

    Returns:
        The files written, and what was left out.

    Raises:
        InputError: a table is damaged, or a file cannot be written.
    """
    volumes = read_volumes(folder, tables)
    structures = sorted(set(volumes["structure"]), key=natural_key)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be made ({error.strerror})") from None
    z = robust_z(volumes)
    odd = (z.abs() > _ODD_Z) | (volumes["confidence"] < _LEAST_DICE) | (volumes["mm3"] == 0)
    parts: dict[str, list[Block]] = {"Structures": [_structures_table(volumes, structures)]}
    written, left_out = [_write_wide(out / "volumes.tsv", volumes, structures)], []
    if not (volumes["mm3"] > 0).any() or len(structures) > MOST_STRUCTURES:
        left_out.append(
            f"figure_volumes: {len(structures)} structures, expected 1 to {MOST_STRUCTURES} that were found"
        )
    else:
        figure = volumes_figure(volumes, structures, odd)
        files = save_figure(figure, out, "figure_volumes")
        written += files
        caption = "Volume of each structure in each scan. Boxes have the middle half of the scans, lines their median."
        named = " Circles and names: to look at, see the table." if odd.any() else ""
        parts["Volumes"] = [caption + named, Picture(files[1], "Volumes", round(figure.get_figwidth() * _INCH))]
    if odd.any():
        parts["To look at"] = [
            f"Volumes more than {_ODD_Z} robust standard deviations from the median of {_LEAST_SCANS} scans or more"
            f" (Iglewicz and Hoaglin, 1993), structures with an expected Dice below {_LEAST_DICE}, and those not"
            " found.",
            _odd_table(volumes[odd], z[odd]),
        ]
    parts["How it was made"] = [
        f"Read from {len(tables)} tables of {one_line(folder.resolve().name)} by neuralizer-jax"
        f" {version('neuralizer-jax')}. volumes.tsv has all volumes in mm³."
    ]
    scans = volumes["subject"].nunique()
    numbers = [("scans", f"{scans:,}"), ("structures", f"{len(structures):,}"), ("to look at", f"{int(odd.sum()):,}")]
    page = out / "index.html"
    write_page(page, f"Volumes of {one_line(folder.resolve().name)}", numbers, [], parts)
    return [*written, page], left_out


def robust_z(volumes: pd.DataFrame) -> pd.Series:
    """How many robust standard deviations (by the median absolute deviation) each volume is from its median.

    It is 0 where there are fewer than five scans, or more than half of the volumes are equal.

    Example:
        >>> mm3 = [10.0, 11, 12, 13, 14, 40]
        >>> robust_z(pd.DataFrame({"structure": "a", "mm3": mm3})).round(1).tolist()
        [-1.1, -0.7, -0.2, 0.2, 0.7, 12.4]
    """
    of_structure = volumes.groupby("structure")["mm3"]
    away = volumes["mm3"] - of_structure.transform("median")
    spread = 1.4826 * away.abs().groupby(volumes["structure"]).transform("median")
    return (away / spread).where((spread > 0) & (of_structure.transform("size") >= _LEAST_SCANS), 0.0)


def _structures_table(volumes: pd.DataFrame, structures: list[str]) -> Table:
    rows = []
    for structure in structures:
        own = volumes[volumes["structure"] == structure]
        found = own.loc[own["mm3"] > 0, "mm3"] / 1000
        numbers = [found.mean(), found.std(), found.min(), found.max()] if len(found) else [np.nan] * 4
        cells = [
            Cell(f"{value:.3g}" if value < 1000 else f"{value:,.0f}") if value == value else NOTHING
            for value in numbers
        ]
        least = own["confidence"].min()
        rows.append(
            (
                Cell(structure),
                Cell(f"{len(found)} of {len(own)}"),
                *cells,
                Cell(f"{least:.2f}") if least == least else NOTHING,
            )
        )
    head = ("Structure", "Found", "Mean (ml)", "SD", "Least", "Most", "Lowest expected Dice")
    return Table("volumes", "", head, (tuple(rows),))


def _odd_table(odd: pd.DataFrame, z: pd.Series) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for _, row in odd.assign(z=z).sort_values("z", key=abs, ascending=False).head(_MOST_ROWS).iterrows():
        confidence = Cell(f"{row['confidence']:.2f}") if row["confidence"] == row["confidence"] else NOTHING
        deviations = Cell(f"{row['z']:+.1f}") if row["z"] else NOTHING
        rows.append(
            (Cell(row["subject"]), Cell(row["structure"]), Cell(f"{row['mm3'] / 1000:.3g}"), deviations, confidence)
        )
    if len(odd) > _MOST_ROWS:
        rows.append((Cell(f"and {len(odd) - _MOST_ROWS} more"), *[NOTHING] * 4))
    head = ("Scan", "Structure", "Volume (ml)", "Robust standard deviations", "Expected Dice")
    return Table("odd", "", head, (tuple(rows),))


def _write_wide(path: Path, volumes: pd.DataFrame, structures: list[str]) -> Path:
    wide = volumes.pivot(index="subject", columns="structure", values="mm3").reindex(columns=structures)
    with written_whole(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(("scan", *map(plain_cell, structures)))
        for subject, row in wide.iterrows():
            writer.writerow((plain_cell(str(subject)), *(f"{value:.1f}" if value == value else "n/a" for value in row)))
    return path


def _has_volumes(path: Path) -> bool:
    try:
        with open(path, encoding="utf-8") as stream:
            head = stream.readline(_MOST_BYTES).rstrip("\n").split("\t")
    except (OSError, UnicodeDecodeError):
        return False
    return head[0] == "index" and "mm3" in head


def _rows(path: Path) -> list[tuple[str, float, float]]:
    """Structure, mm^3 and confidence of each label."""
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            lines = list(csv.DictReader(stream.read(_MOST_BYTES).splitlines(), delimiter="\t"))
        cells = [(line["index"], line["name"], float(line["mm3"]), line.get("confidence")) for line in lines]
        rows = [(_name(*names), mm3, np.nan if its in (None, "n/a") else float(its)) for *names, mm3, its in cells]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        rows = None
    if rows is None or any(not 0 <= mm3 < np.inf for _, mm3, _ in rows):
        raise InputError(f"{one_line(path)}: damaged, expected a table with {', '.join(_COLUMNS)}")
    times = Counter(name for name, _, _ in rows)
    return [
        (name if times[name] == 1 else f"{name} {cell[0]}", mm3, confidence)
        for (name, mm3, confidence), cell in zip(rows, cells, strict=True)
    ]


def _name(index: str, name: str) -> str:
    return one_line(name).removeprefix("'") if name and name != "n/a" else f"label {int(index)}"
