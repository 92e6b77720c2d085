"""The figures of the paper: scores against context size (Fig. 4), relative performance (Fig. 5), ablations.

Each takes numbers from `statistics.py` and returns a figure at its printed size, in inches.
"""

import math
from collections.abc import Iterable, Mapping
from itertools import groupby
from textwrap import fill
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neuralizer_jax.report.figure_style import Look, axis_place, model_looks, paper_style, series_looks, sizes_axis
from neuralizer_jax.report.shown_names import METRICS, models_in_order, shown_task, tasks_in_order
from neuralizer_jax.report.statistics import Estimate, Key, mean_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The least range of a vertical axis, so that small differences look small; no Dice is above 1.
_LEAST_RANGE = {"dice": 0.1, "psnr": 2.0}
_HIGHEST = {"dice": 1.0, "psnr": math.inf}

# Width and height of a panel, height of a line of the legend, width of a letter, the least width of a figure.
_PANEL, _LINE, _LETTER, _COLUMN = (2.3, 1.75), 0.2, 0.06, 3.4

# Letters of a name in one line.
_LONGEST = 32

# The share of the best score that the paper looks at.
_SHARE = 0.9


def scores_figure(values: Mapping[Key, float], errors: Mapping[Key, float], metrics: Mapping[str, str]) -> Figure:
    """Scores against context size, a panel for each task and a line for each model (paper, Fig. 4).

    There is at least one value. An error is half the length of its bar; NaN for none.
    """
    tasks = [task for task in tasks_in_order(metrics) if any(task == its for _, its, _ in values)]
    models = models_in_order(model for model, _, _ in values)
    sizes = sorted({size for _, _, size in values})
    looks = model_looks(models)
    columns = {1: 1, 2: 2, 4: 2}.get(len(tasks), 3)
    rows = -(-len(tasks) // columns)
    width = max(_COLUMN, columns * _PANEL[0])
    in_line = min(len(models), int(width / (0.5 + _LETTER * max(len(model) for model in models)) or 1))
    height = rows * _PANEL[1] + -(-len(models) // in_line) * _LINE + 0.3
    with paper_style():
        figure = Figure(figsize=(width, height), layout="constrained")
        panels = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes in panels[len(tasks) :]:
            axes.remove()
        drawn = {}
        for axes, task in zip(panels, tasks, strict=False):
            for place, model in enumerate(models):
                points = [size for size in sizes if (model, task, size) in values]
                lengths = [errors.get((model, task, size), math.nan) for size in points]
                if points:
                    # Side by side, so that error bars do not hide each other.
                    aside = 2 ** (min(0.12, 0.5 / len(models)) * (place - (len(models) - 1) / 2))
                    drawn[model] = axes.errorbar(
                        [axis_place(size, sizes) * aside for size in points],
                        [values[model, task, size] for size in points],
                        lengths if not all(map(math.isnan, lengths)) else None,
                        elinewidth=0.8,
                        **looks[model],
                    )
            # Not a title, for which the layout would leave no room at the sides.
            axes.annotate(
                fill(shown_task(task), _LONGEST),
                (0, 1),
                xycoords="axes fraction",
                xytext=(-26, 5),
                textcoords="offset points",
                va="bottom",
                size=9,
            )
            axes.set_ylabel(METRICS[metrics[task]])
            axes.yaxis.set_major_locator(MaxNLocator(5, min_n_ticks=4, steps=(1, 2, 2.5, 5, 10)))
            axes.grid(axis="x", visible=False)
            sizes_axis(axes, sizes)
            _widen(axes, metrics[task])
        figure.supxlabel("Context members (Neuralizer), training subjects (baseline)", size=8)
        figure.legend([drawn[model] for model in models], models, loc="outside upper center", ncols=in_line)
    return figure


def context_size_figure(relative: Mapping[str, Mapping[float, float]]) -> Figure:
    """Each context size's share of the best score, a line for each task and for their mean (paper, Fig. 5).

    The shares are those of `relative_performance`, of at least one task.
    """
    sizes = sorted({size for shares in relative.values() for size in shares})
    mean = relative_mean(relative)
    # The legend lists the lines as they begin, from the top one to the lowest.
    tasks = sorted(relative, key=lambda task: (-relative[task][min(relative[task])], task))
    with paper_style():
        figure = Figure(figsize=(5.2, 2.9), layout="constrained")
        axes = figure.subplots()
        axes.axhline(100 * _SHARE, color="0.35", linewidth=0.8, linestyle=(0, (4, 3)))
        axes.text(0.99, 100 * _SHARE, f"{_SHARE:.0%}", ha="right", va="bottom", transform=axes.get_yaxis_transform())
        for task, look in zip(tasks, series_looks(len(tasks)), strict=True):
            percent = [100 * share for share in relative[task].values()]
            name = fill(shown_task(task), _LONGEST)
            axes.plot(list(relative[task]), percent, label=name, linewidth=0.9, markersize=3.2, **look)
        if len(relative) > 1 and mean:
            axes.plot(list(mean), [100 * share for share in mean.values()], "k-", linewidth=2.4, label="Mean of tasks")
        axes.set_ylabel("Share of the best score (%)")
        axes.set_xlabel("Context members")
        axes.grid(axis="x", visible=False)
        sizes_axis(axes, sizes)
        lowest = min(100 * share for shares in relative.values() for share in shares.values())
        axes.set_ylim(min(lowest, 100 * _SHARE) - 1.5, 100.5)
        figure.legend(loc="outside right center")
    return figure


def relative_mean(relative: Mapping[str, Mapping[float, float]]) -> dict[float, float]:
    """The mean over tasks of their shares, at the sizes that all tasks have.

    >>> relative_mean({"denoising": {1: 0.9, 8: 1.0}, "inpainting": {1: 0.7, 2: 0.9, 8: 1.0}})
    {1: 0.8, 8: 1.0}
    """
    shared = set.intersection(*(set(shares) for shares in relative.values()))
    return {size: sum(shares[size] for shares in relative.values()) / len(relative) for size in sorted(shared)}


def differences_figure(
    differences: Mapping[tuple[str, str], Estimate], metrics: Mapping[str, str], reference: str
) -> Figure:
    """Differences to a reference model with intervals, a row for each task and their mean, a panel for each metric.

    The differences are given by model and task, at least one.
    """
    models = sorted({model for model, _ in differences})
    looks = {model: look | {"linestyle": "none"} for model, look in model_looks(models).items()}
    known = {task: metrics[task] for _, task in differences}
    groups = {metric: list(tasks) for metric, tasks in groupby(tasks_in_order(known), key=lambda task: known[task])}
    rows = {metric: len(tasks) + (len(tasks) > 1) for metric, tasks in groups.items()}
    row = 0.12 + 0.08 * len(models)
    height = sum(rows.values()) * row + 0.55 * len(groups) + len(models) * _LINE
    with paper_style():
        figure = Figure(figsize=(5.2, height), layout="constrained")
        panels = figure.subplots(len(groups), height_ratios=list(rows.values()), squeeze=False)[:, 0]
        for axes, (metric, tasks) in zip(panels, groups.items(), strict=True):
            axes.axvline(0, color="0.35", linewidth=0.8)
            for place, model in enumerate(models):
                found = [differences.get((model, task)) for task in tasks]
                there = [estimate for estimate in found if estimate is not None]
                if len(there) == len(tasks) > 1:
                    found.append(mean_of(there))
                aside = 0.6 * (place - (len(models) - 1) / 2) / len(models)
                _draw_intervals(axes, found, aside, model, looks[model])
            names = [fill(shown_task(task), _LONGEST) for task in tasks] + ["Mean of tasks"] * (len(tasks) > 1)
            axes.set_yticks(range(len(names)), names)
            axes.set_ylim(len(names) - 0.5, -0.5)
            if len(tasks) > 1:
                axes.axhline(len(tasks) - 0.5, color="0.3", linewidth=0.6)
            axes.grid(axis="y", visible=False)
            axes.tick_params(axis="y", length=0)
            axes.set_xlabel(f"{METRICS[metric]}, difference to {reference}")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center")
    return figure


def _draw_intervals(axes: "Axes", estimates: Iterable[Estimate | None], aside: float, label: str, look: Look) -> None:
    found = [(place + aside, estimate) for place, estimate in enumerate(estimates) if estimate is not None]
    values = [estimate.value for _, estimate in found]
    # A percentile interval of few subjects may not contain their mean.
    below = [max(0, estimate.value - estimate.interval[0]) for _, estimate in found]
    above = [max(0, estimate.interval[1] - estimate.value) for _, estimate in found]
    axes.errorbar(values, [place for place, _ in found], xerr=[below, above], elinewidth=1, label=label, **look)


def _widen(axes: "Axes", metric: str) -> None:
    """Gives the vertical axis of a metric its least range, within what is possible."""
    low, high = axes.get_ylim()
    missing = max(0, _LEAST_RANGE[metric] - (high - low)) / 2
    low, high = low - missing, high + missing
    above = max(0, high - _HIGHEST[metric])
    axes.set_ylim(low - min(above, 2 * missing), high - above)
