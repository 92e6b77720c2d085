"""The table of goals compares two evaluations on the cases that both have."""

import sys
from pathlib import Path

import numpy as np
import pytest
from made_up_scores import SEEN, UNTRAINED, made_up_rows, write_results

with pytest.MonkeyPatch.context() as patch:
    patch.setattr(sys, "path", [str(Path(__file__).parents[2] / "benchmarks"), *sys.path])
    import pretrained_goals as goals

OWN = {"tasks": ("segmentation", "denoising", "motion_correction"), "sizes": (1, 8), "modalities": ("T1",), "draws": 1}
OWN |= {"classes": ("freesurfer:4", "freesurfer:17"), "subjects": 3}
ROWS = made_up_rows(models=(SEEN, *UNTRAINED), **OWN)


def better(rows, dice, psnr):
    """The rows with higher scores of the model."""
    more = {"dice": dice, "psnr": psnr}
    return [(*row[:-1], row[-1] + more.get(row[-2], 0)) if row[1] == SEEN else row for row in rows]


def planes(rows, less):
    """Segmentation in two planes, the second with a lower score."""
    rows = [("planes", *row[1:]) for row in rows if row[6] == "segmentation" and row[5] == 8]
    return rows + [(*row[:10], "axial", 12, *row[12:-1], row[-1] - less) for row in rows]


@pytest.fixture
def folders(tmp_path):
    before = [*ROWS, *planes(ROWS, 0.05)]
    after = [*better(ROWS, 0.03, 2), *planes(ROWS, 0.01)]
    # A subject more after it, with a score that would change every mean.
    after += [(*row[:12], "another", *row[13:-1], 0.0) for row in after if row[12] == "ixi000"]
    for name, rows in (("before", before), ("after", after)):
        write_results(tmp_path / name / goals.SCANS, rows, records=False)
    return {name: tmp_path / name for name in ("before", "after")}


def test_before_after_and_goal(folders):
    rows = {title: (values, goal) for title, values, goal, _ in goals.rows_of(folders)}
    values, goal = rows["real scans, Dice, N = 8"]
    expected = np.mean([row[-1] for row in ROWS if (row[1], row[5], row[-2]) == (SEEN, 8, "dice")])
    assert values == pytest.approx({"before": expected, "after": expected + 0.03})
    assert goal == 0.888
    values, _ = rows["real scans, denoising, dB"]
    lead, goal = rows["real scans, denoising, lead in dB"]
    assert values["after"] - values["before"] == pytest.approx(2)
    assert lead["after"] - lead["before"] == pytest.approx(2)
    assert goal == 1.5
    assert rows["real scans, motion correction, lead in dB"][1] == 1
    values, _ = rows["real scans, other planes, Dice minus mid coronal, lowest"]
    assert values == pytest.approx({"before": -0.05, "after": -0.01})


def test_what_was_not_evaluated_has_no_number(folders):
    results = goals.conditions("command", ("numpy",)) | {"folders": dict.fromkeys(folders, "folder")}
    results["results"] = [
        {"title": title, "goal": goal, "digits": digits} | values
        for title, values, goal, digits in goals.rows_of(folders)
    ]
    text = goals.markdown(results)
    assert "| scan from elsewhere, contexts of label maps, Dice, N = 8 | - | - | 0.750 |  |" in text
    assert "Dice minus mid coronal, lowest | -0.050 | -0.010 | -0.020 | yes |" in text
