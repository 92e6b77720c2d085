"""Whole scans in the report: what is in the tables is what the scores say."""

import pytest
from made_up_scores import whole_scan_row, whole_scan_rows

from neuralizer_jax.evaluation.scores import scores_of
from neuralizer_jax.report.headline import headline
from neuralizer_jax.report.items import report_items
from neuralizer_jax.report.results import LeftOut, Results
from neuralizer_jax.report.structures import ends_table, numbers_table, structures_table, trust_table

NAMES = {"17": "left hippocampus", "4": "left ventricle"}


def texts(table):
    return {cells[0].text: [cell.text for cell in cells[1:]] for part in table.parts for cells in part}


class TestStructures:
    def test_values_in_the_order_of_numbers(self):
        table = structures_table("t", scores_of(whole_scan_rows()), {})
        assert table.head == ("Structure", "net", "Majority vote")
        assert list(texts(table))[:3] == ["4, Dice", "17, Dice", "Mean of 2 structures, Dice"]
        assert texts(table)["17, Dice"] == ["0.800 [0.800, 0.800]", "0.700 [0.700, 0.700]"]
        assert texts(table)["Mean of 2 structures, HD95 (mm)"][0].startswith("1.50 ")
        assert texts(table)["4, volume error (%)"][1].startswith("2.0 ")
        assert "N = 8" in table.caption

    def test_the_best_is_bold_also_where_less_is_better(self):
        table = structures_table("t", scores_of(whole_scan_rows()), NAMES)
        assert table.bold[:, 1].all()
        assert not table.bold[:, 2].any()
        assert "left hippocampus, Dice" in texts(table)

    def test_a_scan_that_one_model_lacks_counts_for_none(self):
        odd = [whole_scan_row("net", 8, label, "z", "dice", 0.0) for label in NAMES]
        table = structures_table("t", scores_of([*whole_scan_rows(), *odd]), {})
        assert texts(table)["17, Dice"][0].startswith("0.800")

    def test_what_was_not_found_has_no_distance(self):
        rows = [
            its
            for its in whole_scan_rows()
            if not (its[1] == "net" and its[5] == 8 and its[12] == "c" and its[-2] == "hd95")
        ]
        rows += [whole_scan_row("net", 8, label, "c", "hd95", float("nan")) for label in NAMES]
        table = structures_table("t", scores_of(rows), {})
        assert "what one did not find: 2 of net" in table.caption
        assert texts(table)["17, HD95 (mm)"][0].startswith("2.00 ")

    def test_models_without_a_common_size(self):
        rows = whole_scan_rows(models=("net",), sizes=(1,)) + whole_scan_rows(models=("Majority vote",), sizes=(8,))
        with pytest.raises(LeftOut, match="no N in common"):
            structures_table("t", scores_of(rows), {})

    def test_numbers_of_examples(self):
        table = numbers_table("t", scores_of(whole_scan_rows()), {})
        assert [cells[0][:5] for cells in texts(table).values()] == ["0.750", "0.850"]
        # A structure that too few examples show for the larger N is in no mean.
        rows = [its for its in whole_scan_rows() if not (its[5] == 8 and its[9] == "17")]
        assert texts(numbers_table("t", scores_of(rows), {}))["N = 8"][0].startswith("0.900")

    def test_ends(self):
        table = ends_table("t", scores_of(whole_scan_rows()), NAMES)
        assert list(texts(table)) == ["net: left hippocampus", "net: left ventricle", "net: Mean of 2 structures"]
        assert texts(table)["net: left hippocampus"] == ["0.50"] + ["0.80"] * 9
        rows = [its for its in whole_scan_rows() if its[-2] != "dice_y3"]
        rows += [
            whole_scan_row("net", 8, "4", "a", "dice_y3", float("nan")),
            whole_scan_row("net", 8, "17", "a", "dice_y3", 0.4),
        ]
        shown = texts(ends_table("t", scores_of(rows), {}))
        assert [cells[2] for cells in shown.values()] == ["–", "0.40", "0.40"]  # noqa: RUF001

    def test_trust(self):
        table = trust_table("t", scores_of(whole_scan_rows()), {})
        # At N = 1 Dice is .7 and .8, expected .6 and .8; at N = 8 .8 and .9, expected .8 and 1.
        assert texts(table) == {
            "net, N = 1": ["6", "1.00", "0.050", "0.800"],
            "net, N = 8": ["6", "1.00", "0.050", "0.800"],
        }
        low = [its for its in whole_scan_rows() if its[-2] != "expected_dice"]
        with pytest.raises(LeftOut):
            trust_table("t", scores_of(low), {})
        low += [whole_scan_row("net", 8, label, "a", "expected_dice", 0.5) for label in NAMES]
        assert texts(trust_table("t", scores_of(low), {})) == {"net, N = 8": ["2", "–", "0.350", "–"]}  # noqa: RUF001

    def test_they_are_in_a_report_that_has_whole_scans(self):
        results = Results(scores_of(whole_scan_rows()), "", None, [], ())
        items, _ = report_items(results, {})
        parts = {"table_structures", "table_structures_by_n", "table_structure_ends", "figure_structures"}
        parts |= {"table_structure_trust", "figure_structure_dice", "figure_volume_agreement"}
        assert parts == {item.name for item in items}
        assert ("Dice: net, N = 8", "0.850 [0.850, 0.850]") in headline(results)
        others = [("experiment1", *its[1:]) for its in whole_scan_rows()]
        items, left_out = report_items(Results(scores_of(others), "", None, [], ()), {})
        assert not parts & {item.name for item in items}
        assert "table_structures: scores.csv has no volumes" in left_out
