"""What to expect of a model at each context size: numbers of a task or structure, as a table and as a figure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from neuralizer_jax.evaluation.scores import Kind
from neuralizer_jax.report.comparison import compare
from neuralizer_jax.report.figure_style import paper_style, series_looks, sizes_axis
from neuralizer_jax.report.shown_names import METRICS, shown_size, shown_task, tasks_in_order
from neuralizer_jax.report.statistics import class_scores, complete, task_means
from neuralizer_jax.report.table_formats import NOTHING, Cell, Table

# More structures than this are shown by their mean alone.
_MOST_STRUCTURES = 12

# Mean scores by model and context size.
OfModels = dict[str, dict[float, float]]

_COLUMNS, _PANEL, _LONGEST = 4, (1.95, 1.55), 26
_DIGITS = {"dice": 3, "psnr": 1}


@dataclass(frozen=True)
class Expected:
    """Mean scores by context size.

    Attributes:
        metric: `dice` or `psnr`.
        model: of the model.
        untrained: of the best untrained baseline at each size; empty if none was evaluated.
    """

    metric: str
    model: Mapping[float, float]
    untrained: Mapping[float, float]


def expected_scores(scores: pd.DataFrame, model: str, class_names: Mapping[str, str]) -> dict[str, Expected]:
    """The scores of a model by what is predicted: segmentation, each of its structures, and other tasks.

    Means are over draws, modalities, subjects, and of a structure over left and right. Only subjects with all context
    sizes count, so that nothing but the size changes; and only cases that all models have.

    Args:
        scores: of one experiment.
        model: its name.
        class_names: names of classes, as `left hippocampus` for `freesurfer:17`; others keep their label.
    """
    comparison = compare(scores)
    scores, found = complete(comparison.scores), {}
    scores = scores[(scores["model"] == model) | (scores["kind"] == Kind.UNTRAINED)]
    for task in tasks_in_order(comparison.metrics):
        own = scores[scores["task"] == task]
        of_labels = _structures(own, class_names) if own["class"].any() else {shown_task(task): _means(own)}
        if len(of_labels) > 1:
            mean = f"{shown_task(task)}, mean of {len(of_labels)} structures"
            of_labels = {mean: _mean_of(of_labels)} | (of_labels if len(of_labels) <= _MOST_STRUCTURES else {})
        for label, of_models in of_labels.items():
            if model in of_models:
                found[label] = _beside(comparison.metrics[task], of_models, model)
    return found


def _means(scores: pd.DataFrame) -> OfModels:
    """The means of a task."""
    found: OfModels = {}
    for (model, _, size), estimate in task_means(scores).items():
        found.setdefault(model, {})[size] = estimate.value
    return found


def _structures(scores: pd.DataFrame, class_names: Mapping[str, str]) -> dict[str, OfModels]:
    """The means of each structure, over its left and right side."""
    sides: dict[str, dict[str, OfModels]] = {}
    for (model, size, name), of_subjects in class_scores(scores).items():
        if name:
            label = class_names.get(name, name).removeprefix("left ").removeprefix("right ").capitalize()
            side = sides.setdefault(label, {}).setdefault(name, {})
            side.setdefault(model, {})[size] = float(of_subjects.mean())
    return {label: _mean_of(its) for label, its in sides.items()}


def _mean_of(parts: Mapping[str, OfModels]) -> OfModels:
    """The mean over parts, at the sizes that all parts have."""
    first, *others = parts.values()
    return {
        model: {
            size: float(np.mean([part[model][size] for part in parts.values()]))
            for size in of_sizes
            if all(size in part.get(model, {}) for part in others)
        }
        for model, of_sizes in first.items()
    }


def expected_table(name: str, caption: str, found: Mapping[str, Expected]) -> Table:
    """A row for each task or structure, a column for each context size; in brackets the best untrained baseline."""
    sizes = sorted({size for its in found.values() for size in its.model})
    rows = []
    for label, its in found.items():
        cells = [Cell(f"{label}, {METRICS[its.metric]}")]
        for size in sizes:
            digits = _DIGITS[its.metric]
            best = f" ({its.untrained[size]:.{digits}f})" if size in its.untrained else ""
            cells.append(Cell(f"{its.model[size]:.{digits}f}{best}") if size in its.model else NOTHING)
        rows.append(tuple(cells))
    return Table(name, caption, ("Task", *(f"N = {shown_size(size)}" for size in sizes)), (tuple(rows),))


def expected_figure(parts: Mapping[str, Mapping[str, Expected]]) -> Figure:
    """Scores against context size: a panel for each task or structure, and in it a colour for each part.

    Solid lines are the model, dashed ones the best untrained baseline. `parts` are results on different data by name,
    at least one with a score.
    """
    labels = list(dict.fromkeys(label for found in parts.values() for label in found))
    sizes = sorted({size for found in parts.values() for its in found.values() for size in its.model})
    columns = min(_COLUMNS, len(labels))
    rows = -(-len(labels) // columns)
    looks = dict(zip(parts, series_looks(len(parts)), strict=True))
    with paper_style():
        figure = Figure(figsize=(columns * _PANEL[0], rows * _PANEL[1] + 0.6), layout="constrained")
        panels = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes in panels[len(labels) :]:
            axes.remove()
        for axes, label in zip(panels, labels, strict=False):
            for part, found in parts.items():
                if label in found:
                    metric = found[label].metric
                    _line(axes, found[label].model, looks[part] | {"linestyle": "-"})
                    faint = looks[part] | {"linestyle": "--", "marker": "", "linewidth": 1}
                    _line(axes, found[label].untrained, faint)
            axes.set_title(fill(label, _LONGEST), loc="left", size=8)
            axes.set_ylabel(METRICS[metric])
            axes.yaxis.set_major_locator(MaxNLocator(4, min_n_ticks=3, steps=(1, 2, 2.5, 5, 10)))
            axes.grid(axis="x", visible=False)
            sizes_axis(axes, sizes)
        figure.supxlabel("Example pairs (N)", size=8)
        lines = [Line2D([], [], **look, linestyle="-") for look in looks.values()]
        lines.append(Line2D([], [], color="0.3", linestyle="--", linewidth=1))
        figure.legend(lines, [*parts, "best untrained baseline"], loc="outside upper center", ncols=len(lines))
    return figure


def _beside(metric: str, of_models: Mapping[str, Mapping[float, float]], model: str) -> Expected:
    sizes = sorted(of_models[model])
    others = [values for its, values in of_models.items() if its != model]
    best = {size: max(its[size] for its in others if size in its) for size in sizes if any(size in o for o in others)}
    return Expected(metric, {size: of_models[model][size] for size in sizes}, best)


def _line(axes, values: Mapping[float, float], look) -> None:
    points: Sequence[float] = [size for size in values if not math.isinf(size)]
    axes.plot(points, [values[size] for size in points], **look)
