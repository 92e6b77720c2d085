"""Figures of structures show each case where it is."""

import numpy as np
import pandas as pd
import pytest
from made_up_scores import whole_scan_rows

from neuralizer_jax.evaluation.scores import scores_of
from neuralizer_jax.report.structures import structure_cases
from neuralizer_jax.report.volume_figures import agreement, agreement_figure, dice_figure, volumes_figure

PAIRS = pd.DataFrame({"structure": ["a"] * 4, "found_mm3": [1e3, 2e3, 3e3, 5e3], "true_mm3": [1e3, 1e3, 4e3, 4e3]})


def points(axes):
    return np.concatenate([line.get_xydata() for line in axes.lines if line.get_marker() == "o"])


def test_cases_have_predicted_and_true_volumes():
    size, cases = structure_cases(scores_of(whole_scan_rows()), {"17": "hippocampus", "4": "ventricle"})
    assert size == 8
    assert list(dict.fromkeys(cases["structure"])) == ["hippocampus", "ventricle"]
    net = cases[(cases["model"] == "net") & (cases["structure"] == "hippocampus")]
    assert net["true_mm3"].tolist() == [1700.0 + 10 * ord(subject) for subject in "abc"]
    np.testing.assert_allclose(net["found_mm3"], net["true_mm3"] * (1 - 0.02))
    assert net["dice"].tolist() == [0.8] * 3


def test_scores_of_an_earlier_version_have_no_volumes():
    rows = [row for row in whole_scan_rows() if row[-2] != "true_mm3"]
    _, cases = structure_cases(scores_of(rows), {})
    assert cases["found_mm3"].isna().all()
    assert cases["dice"].notna().all()


def test_agreement_has_mean_and_difference_of_each_case():
    (axes,) = agreement_figure(PAIRS, ["a"]).axes
    assert points(axes).tolist() == [[1, 0], [1.5, 1], [3.5, -1], [4.5, 1]]
    low, high = axes.get_ylim()
    assert low <= agreement(np.array([1, 2, 3, 5]), np.array([1, 1, 4, 4]))["lower limit"] < 0 < high == -low


def test_limits_hold_95_percent_of_the_differences():
    true = np.random.default_rng(0).uniform(1, 2, 20_000)
    found = true + np.random.default_rng(1).normal(0.1, 0.2, 20_000)
    lines = agreement(found, true)
    inside = (found - true > lines["lower limit"]) & (found - true < lines["upper limit"])
    assert inside.mean() == pytest.approx(0.95, abs=0.01)
    assert lines["bias"] == pytest.approx(0.1, abs=0.01)
    assert list(agreement(found[:2], true[:2])) == ["bias"]


def test_each_dice_is_one_point_beside_its_structure():
    rng = np.random.default_rng(0)
    cases = pd.DataFrame(
        [(model, structure, rng.uniform(0.5, 1)) for model in "xy" for structure in "ab" for _ in range(9)],
        columns=["model", "structure", "dice"],
    )
    (axes,) = dice_figure(cases, ["a", "b"], ["x", "y"]).axes
    drawn = points(axes)
    for place, structure in enumerate("ab"):
        here = drawn[np.abs(drawn[:, 1] - place) < 0.5, 0]
        np.testing.assert_allclose(np.sort(here), np.sort(cases.loc[cases["structure"] == structure, "dice"]))


def test_each_volume_is_one_point_and_odd_ones_are_named():
    volumes = pd.DataFrame({"subject": ["one", "two", "three"], "structure": ["a", "a", "b"], "mm3": [1e3, 2e3, 9e4]})
    (axes,) = volumes_figure(volumes, ["a", "b"], volumes["subject"] == "two").axes
    assert sorted(set(points(axes)[:, 0].tolist())) == [1, 2, 90]
    assert [text.get_text() for text in axes.texts] == ["two"]
    assert axes.get_xscale() == "log"
