"""The report on segmented scans: every volume of every table, and the structures to look at."""

import csv

import numpy as np
import pandas as pd
import pytest

from neuralizer_jax.cli.main import main
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.label_table import LabelRow, write_label_table
from neuralizer_jax.report.predicted_volumes import find_tables, read_volumes, robust_z, write_volumes_report

HOSTILE = "=<script>alert('x')</script>$x$"


def write_scan(folder, name, sizes, confidence=0.9):
    """A table: mm^3 by structure."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [LabelRow(17 + i, structure, int(mm3), mm3, confidence) for i, (structure, mm3) in enumerate(sizes.items())]
    write_label_table(folder / f"{name}_dseg.tsv", rows)


@pytest.fixture
def folder(tmp_path):
    """Eight scans, of which sub-3 has half a hippocampus and sub-5 an uncertain thalamus; and a table of names."""
    for number in range(8):
        sizes = {"Hippocampus": 3000.0 + 10 * number, "Thalamus": 7000.0 + 20 * number, "": 50.0 + number}
        sizes |= {"Hippocampus": 1500.0} if number == 3 else {}
        write_scan(tmp_path / "scans", f"sub-{number}", sizes, 0.4 if number == 5 else 0.9)
    (tmp_path / "scans" / "dseg.tsv").write_text("index\tname\n17\tHippocampus\n")
    return tmp_path / "scans"


def test_all_volumes_are_in_the_table_and_odd_ones_are_named(folder, capsys):
    assert main(["report", str(folder)]) == 0
    out = folder / "report"
    assert {path.name for path in out.iterdir()} == {
        "index.html", "volumes.tsv", "figure_volumes.png", "figure_volumes.svg",
    }  # fmt: skip
    with open(out / "volumes.tsv", newline="") as stream:
        rows = {row["scan"]: row for row in csv.DictReader(stream, delimiter="\t")}
    assert list(rows) == [f"sub-{number}" for number in range(8)]
    assert rows["sub-3"] == {"scan": "sub-3", "Hippocampus": "1500.0", "Thalamus": "7060.0", "label 19": "53.0"}
    odd = (out / "index.html").read_text().split("To look at</h2>")[1]
    assert [name for name in rows if f"<td>{name}</td>" in odd] == ["sub-3", "sub-5"]
    assert "left out" not in capsys.readouterr().out


def test_a_report_is_the_same_again(folder, tmp_path):
    tables = find_tables(folder)
    for name in ("one", "two"):
        write_volumes_report(folder, tables, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_scans_of_one_name_are_told_apart(tmp_path):
    for session in ("ses-1", "ses-2"):
        write_scan(tmp_path / session, "sub-1", {"a": 1.0})
        write_scan(tmp_path / session, f"only-{session}", {"a": 1.0})
    found = read_volumes(tmp_path, find_tables(tmp_path))
    assert set(found["subject"]) == {"ses-1/sub-1_dseg.tsv", "ses-2/sub-1_dseg.tsv", "only-ses-1", "only-ses-2"}


def test_structures_of_one_name_are_told_apart(tmp_path):
    (tmp_path / "s_dseg.tsv").write_text("index\tname\tvoxels\tmm3\tconfidence\n1\ta\t2\t2\t.5\n2\ta\t3\t3\tn/a\n")
    found = read_volumes(tmp_path, find_tables(tmp_path))
    assert dict(zip(found["structure"], found["mm3"], strict=True)) == {"a 1": 2, "a 2": 3}


@pytest.mark.parametrize("sizes", [{"a": 0.0}, {"a": 5.0}, {HOSTILE: 5.0, "b": 900_000.0}, {}])
def test_few_or_strange_tables_are_shown(tmp_path, sizes):
    write_scan(tmp_path, "sub-1", sizes)
    written, left_out = write_volumes_report(tmp_path, find_tables(tmp_path), tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "<script" not in page
    assert bool(left_out) == (not any(sizes.values()))
    assert "figure_volumes.svg" in {path.name for path in written} or left_out


@pytest.mark.parametrize("cell", ["many", "nan", "-1", "inf", ""])
def test_a_damaged_table_is_named(tmp_path, cell, capsys):
    (tmp_path / "sub-1_dseg.tsv").write_text(f"index\tname\tvoxels\tmm3\tconfidence\n17\ta\t2\t{cell}\t0.9\n")
    assert main(["report", str(tmp_path)]) == 2
    printed = capsys.readouterr().err
    assert "sub-1_dseg.tsv: damaged, expected a table with index, name, mm3, confidence" in printed
    assert len(printed.splitlines()) == 1
    assert not (tmp_path / "report").exists()


def test_a_folder_without_results_is_refused(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "has no results, expected scores.csv" in capsys.readouterr().err
    with pytest.raises(InputError, match="does not exist"):
        find_tables(tmp_path / "none")


def test_robust_z_does_not_see_units_and_few_scans():
    mm3 = np.array([10.0, 11, 12, 13, 40])
    z = robust_z(pd.DataFrame({"structure": "a", "mm3": mm3}))
    np.testing.assert_allclose(robust_z(pd.DataFrame({"structure": "a", "mm3": 1000 * mm3})), z)
    assert z.iloc[-1] > 3.5
    assert (robust_z(pd.DataFrame({"structure": "a", "mm3": mm3[1:]})) == 0).all()
    assert (robust_z(pd.DataFrame({"structure": "a", "mm3": [5.0] * 6 + [9.0]})) == 0).all()
