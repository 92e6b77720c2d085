"""Figures of structures over scans: volumes, predicted against true volumes (Bland and Altman), Dice of each case."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neuralizer_jax.report.figure_style import model_looks, paper_style, series_looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A figure has at most so many structures.
MOST_STRUCTURES = 60

# Inches: width of a figure, height of a row and of what is around the rows; size of a panel.
_WIDTH, _ROW, _AROUND = 6.4, 0.2, 0.9
_PANEL, _COLUMNS = (1.75, 1.5), 4

# Letters of a name in one line above a panel.
_LONGEST = 20

# Volumes that differ by more than this factor are shown on a logarithmic axis.
_LOGARITHMIC = 20

# 95 % of normally distributed differences lie within so many standard deviations (Bland and Altman, 1986).
_LIMITS = 1.96


def volumes_figure(volumes: pd.DataFrame, structures: Sequence[str], odd: pd.Series) -> Figure:
    """The volume of each structure in each scan, a row for each structure; the box has the middle half of the scans.

    Args:
        volumes: columns `subject`, `structure`, `mm3`.
        structures: the rows from top to bottom.
        odd: of each row of `volumes`, whether it is marked and named.
    """
    colour = series_looks(1)[0]["color"]
    with paper_style():
        figure = Figure(figsize=(_WIDTH, _AROUND + _ROW * len(structures)), layout="constrained")
        axes = figure.subplots()
        shown = volumes["mm3"] > 0
        for place, structure in enumerate(structures):
            own = volumes[(volumes["structure"] == structure) & shown]
            _strip(axes, own["mm3"].to_numpy() / 1000, place, 0.6, colour)
            for _, row in own[odd[own.index]].iterrows():
                axes.plot(row["mm3"] / 1000, place, "o", markersize=6, markerfacecolor="none", color="0.1")
                axes.annotate(row["subject"], (row["mm3"] / 1000, place), (4, 3), textcoords="offset points", size=6)
        low, high = volumes.loc[shown, "mm3"].min(), volumes.loc[shown, "mm3"].max()
        if high > _LOGARITHMIC * low:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("Volume (ml)")
        _rows(axes, structures)
    return figure


def dice_figure(cases: pd.DataFrame, structures: Sequence[str], models: Sequence[str]) -> Figure:
    """The Dice of each case, a row for each structure and a colour for each model; boxes have the middle half.

    Args:
        cases: columns `model`, `structure`, `dice`.
        structures: the rows from top to bottom.
        models: in order.
    """
    looks = model_looks(models)
    row = _ROW * max(1, 0.6 * len(models))
    with paper_style():
        figure = Figure(figsize=(_WIDTH, _AROUND + row * len(structures) + 0.2), layout="constrained")
        axes = figure.subplots()
        for place, structure in enumerate(structures):
            for number, model in enumerate(models):
                own = cases[(cases["structure"] == structure) & (cases["model"] == model)]
                aside = 0.8 * ((number + 0.5) / len(models) - 0.5)
                _strip(axes, own["dice"].to_numpy(), place + aside, 0.6 / len(models), looks[model]["color"])
        axes.set_xlabel("Dice")
        axes.set_xlim(max(-0.02, cases["dice"].min() - 0.05), 1.01)
        _rows(axes, structures)
        handles = [axes.plot([], [], "o", color=looks[model]["color"])[0] for model in models]
        figure.legend(handles, models, loc="outside upper center", ncols=min(len(models), 3))
    return figure


def agreement_figure(cases: pd.DataFrame, structures: Sequence[str]) -> Figure:
    """Predicted minus true volume against their mean, a panel for each structure, with bias and limits of agreement.

    Args:
        cases: columns `structure`, `found_mm3`, `true_mm3`.
        structures: the panels in order.
    """
    columns = min(_COLUMNS, len(structures))
    rows = -(-len(structures) // columns)
    colour = series_looks(1)[0]["color"]
    with paper_style():
        figure = Figure(figsize=(max(3.4, columns * _PANEL[0]), rows * _PANEL[1] + 0.3), layout="constrained")
        panels = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes in panels[len(structures) :]:
            axes.remove()
        for axes, structure in zip(panels, structures, strict=False):
            own = cases[cases["structure"] == structure]
            found, true = own["found_mm3"].to_numpy() / 1000, own["true_mm3"].to_numpy() / 1000
            axes.plot((found + true) / 2, found - true, "o", markersize=3, color=colour, alpha=0.7, markeredgewidth=0)
            axes.axhline(0, color="0.35", linewidth=0.8)
            lines = agreement(found, true)
            for name, value in lines.items():
                axes.axhline(value, color="#D55E00", linewidth=1, linestyle="-" if name == "bias" else (0, (4, 3)))
            most = 1.25 * max(*np.abs(found - true), *map(abs, lines.values()), 1e-3)
            axes.set_ylim(-most, most)
            axes.set_title(fill(structure, _LONGEST), size=8)
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(MaxNLocator(4))
        figure.supxlabel("Mean of predicted and true volume (ml)", size=8)
        figure.supylabel("Predicted - true (ml)", size=8)
    return figure


def agreement(found: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Mean difference and limits of agreement, 1.96 standard deviations around it (Bland and Altman, 1986).

    Of fewer than three pairs there are no limits.

    Example:
        >>> lines = agreement(np.array([1.1, 2.0, 3.2]), np.array([1.0, 2.0, 3.0]))
        >>> {name: round(value, 3) for name, value in lines.items()}
        {'bias': 0.1, 'lower limit': -0.096, 'upper limit': 0.296}
    """
    difference = found - true
    bias = float(difference.mean())
    if len(difference) < 3:
        return {"bias": bias}
    half = _LIMITS * float(difference.std(ddof=1))
    return {"bias": bias, "lower limit": bias - half, "upper limit": bias + half}


def _strip(axes: "Axes", values: np.ndarray, place: float, height: float, colour: str) -> None:
    """A row of points, scattered so that each can be seen, over a box with the middle half and the median."""
    if not len(values):
        return
    low, middle, high = np.percentile(values, (25, 50, 75))
    axes.fill_between([low, high], place - height / 2, place + height / 2, color=colour, alpha=0.18, linewidth=0)
    axes.plot([middle, middle], [place - height / 2, place + height / 2], color=colour, linewidth=1.4)
    # Irrational steps: even, and the same in every run.
    aside = (np.argsort(np.argsort(values)) * 0.6180339887 % 1 - 0.5) * height * 0.8
    points: Mapping = {"markersize": 2.6, "color": colour, "alpha": 0.65, "markeredgewidth": 0, "rasterized": True}
    axes.plot(values, place + aside, "o", **points)


def _rows(axes: "Axes", names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
