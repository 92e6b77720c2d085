"""Scores by plane and position of the slices, beside those of the same structures and subjects in the paper's slice."""

import pandas as pd

from neuralizer_jax.evaluation.scores import Kind
from neuralizer_jax.report.comparison import Comparison
from neuralizer_jax.report.results import LeftOut
from neuralizer_jax.report.shown_names import METRICS, models_in_order
from neuralizer_jax.report.statistics import Estimate, mean_of, task_means
from neuralizer_jax.report.table_formats import NOTHING, Cell, Table
from neuralizer_jax.report.tables import shown_estimate

# The slice of the paper: plane and position, mm. Others are compared with it.
Place = tuple[str, int]
REFERENCE: Place = ("coronal", -17)

_PAIR = ["model", "context_size", "metric", "task", "dataset", "modality", "class", "subject", "draw"]


def planes_table(name: str, caption: str, comparison: Comparison) -> Table:
    """Means over the tasks of a metric: a row for each plane and position, at the largest context size of all models.

    For each in-context model: its score, the score of the same subjects and structures in the slice `REFERENCE`, and
    the difference, bold where its interval is above 0. Last the highest score of the untrained baselines.

    Raises:
        LeftOut: there is no slice `REFERENCE`, or none beside it.
    """
    scores = comparison.scores[comparison.scores["size"] == comparison.size]
    places = sorted(set(zip(scores["plane"], scores["position"], strict=True)))
    if REFERENCE not in places or len(places) < 2:
        raise LeftOut(f"only slices at {', '.join(map(shown_place, places))}, none beside {shown_place(REFERENCE)}")
    models = models_in_order(scores.loc[scores["kind"] == Kind.IN_CONTEXT, "model"])
    untrained = models_in_order(scores.loc[scores["kind"] == Kind.UNTRAINED, "model"])
    rows: dict[str, list[tuple[Cell, ...]]] = {"dice": [], "psnr": []}
    for place in sorted(places, key=lambda place: place != REFERENCE):
        here, there = in_both(scores, place, REFERENCE)
        for metric, lines in rows.items():
            of_place = _means(here, metric)
            if of_place:
                classes = here.loc[here["metric"] == metric, "class"].nunique()
                of_reference, shown = _means(there, metric), f", {classes} classes" if classes > 1 else ""
                cells = [Cell(f"{shown_place(place)}, {METRICS[metric]}{shown}")]
                for model in models:
                    of_model = of_reference.get(model) if place != REFERENCE else None
                    cells += _beside(of_place.get(model), of_model, metric)
                best = max((of_place[its].value for its in untrained if its in of_place), default=None)
                if untrained:
                    cells.append(Cell(f"{best:.{3 if metric == 'dice' else 2}f}") if best is not None else NOTHING)
                lines.append(tuple(cells))
    beside = [(model, f"the same in {shown_place(REFERENCE).lower()}", "difference") for model in models]
    head = ("Slice", *(text for texts in beside for text in texts), *(["Best untrained"] if untrained else []))
    return Table(name, caption, head, tuple(tuple(lines) for lines in rows.values() if lines))


def in_both(scores: pd.DataFrame, place: Place, other: Place) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The scores in each of two places, without what only one of them shows."""
    parts = [scores[(scores["plane"] == plane) & (scores["position"] == mm)] for plane, mm in (place, other)]
    one, two = (pd.MultiIndex.from_frame(part[_PAIR]) for part in parts)
    return parts[0][one.isin(two)], parts[1][two.isin(one)]


def shown_place(place: Place) -> str:
    """A plane and position for readers.

    >>> shown_place(("coronal", -17))
    'Coronal -17 mm'
    """
    return f"{place[0].capitalize()} {place[1]} mm"


def _means(scores: pd.DataFrame, metric: str) -> dict[str, Estimate]:
    """Each model's mean over the tasks of a metric."""
    found: dict[str, list[Estimate]] = {}
    for (model, _, _), estimate in task_means(scores[scores["metric"] == metric]).items():
        found.setdefault(model, []).append(estimate)
    return {model: mean_of(estimates) for model, estimates in found.items()}


def _beside(here: Estimate | None, there: Estimate | None, metric: str) -> list[Cell]:
    own, other = (Cell(shown_estimate(its, metric, interval=False)) if its else NOTHING for its in (here, there))
    if here is None or there is None:
        return [own, other, NOTHING]
    difference = here - there
    return [own, other, Cell(shown_estimate(difference, metric, signed=True), bold=difference.interval[0] > 0)]
