"""The parts of a report on whole scans: tables and figures of their structures."""

from collections.abc import Callable, Mapping
from functools import partial

from neuralizer_jax.report.figures import scores_figure
from neuralizer_jax.report.item import Item, table_item
from neuralizer_jax.report.results import LeftOut, Results
from neuralizer_jax.report.shown_names import shown_size
from neuralizer_jax.report.structures import (
    ends_table,
    models_with_context_first,
    numbers_table,
    structure_cases,
    structure_means,
    structures_table,
    trust_table,
    whole_scans,
)
from neuralizer_jax.report.table_formats import Table
from neuralizer_jax.report.volume_figures import MOST_STRUCTURES, agreement_figure, dice_figure

_TABLES = {
    "table_structures": ("Structures in whole scans", structures_table),
    "table_structure_ends": ("Ends of structures", ends_table),
    "table_structure_trust": ("Expected Dice of structures", trust_table),
    "table_structures_by_n": ("Structures by number of examples", numbers_table),
}

# A figure has at most so many panels.
_MOST_PANELS = 12


def structure_makers(results: Results, class_names: Mapping[str, str]) -> dict[str, Callable[[str], Item]]:
    """What makes each part, by its name. It raises LeftOut if the results do not have what the part needs."""
    return {
        **{name: partial(_table, results, class_names, *its) for name, its in _TABLES.items()},
        "figure_structures": partial(_by_n, results, class_names),
        "figure_structure_dice": partial(_dice, results, class_names),
        "figure_volume_agreement": partial(_agreement, results, class_names),
    }


def _table(results: Results, class_names: Mapping[str, str], title: str, make: Callable[..., Table], name: str) -> Item:
    return table_item(title, make(name, whole_scans(results), class_names))


def _by_n(results: Results, class_names: Mapping[str, str], name: str) -> Item:
    values = structure_means(whole_scans(results), class_names)
    structures = {structure for _, structure, _ in values}
    _check_number(structures, _MOST_PANELS)
    caption = "Whole scans: Dice of each structure by the number of examples. Means over scans."
    figure = scores_figure(values, {}, dict.fromkeys(structures, "dice"))
    return Item(name, "Structures by number of examples", caption, figure)


def _dice(results: Results, class_names: Mapping[str, str], name: str) -> Item:
    size, cases = structure_cases(whole_scans(results), class_names)
    structures = list(dict.fromkeys(cases["structure"]))
    _check_number(structures, MOST_STRUCTURES)
    models = models_with_context_first(cases)
    caption = (
        f"Whole scans, N = {shown_size(size)}: Dice of each structure in each scan. Boxes have the middle half of the"
        " scans, lines their median."
    )
    return Item(name, "Dice of each scan", caption, dice_figure(cases, structures, models))


def _agreement(results: Results, class_names: Mapping[str, str], name: str) -> Item:
    size, cases = structure_cases(whole_scans(results), class_names)
    cases = cases.dropna(subset=["found_mm3", "true_mm3"])
    if cases.empty:
        raise LeftOut("scores.csv has no true_mm3, expected scores of this version")
    model = models_with_context_first(cases)[0]
    cases = cases[cases["model"] == model]
    structures = list(dict.fromkeys(cases["structure"]))
    _check_number(structures, MOST_STRUCTURES)
    caption = (
        f"Whole scans, {model}, N = {shown_size(size)}: predicted minus true volume of each structure in each scan"
        " (Bland and Altman, 1986). Solid: mean difference; dashed: limits of agreement, 1.96 standard"
        " deviations around it."
    )
    return Item(name, "Predicted and true volumes", caption, agreement_figure(cases, structures))


def _check_number(structures, most: int) -> None:
    if not 0 < len(structures) <= most:
        raise LeftOut(f"{len(structures)} structures, expected 1 to {most} to draw")
