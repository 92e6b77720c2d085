"""The tables of the paper, from numbers of `statistics.py`: tasks (Table 4), classes (Table 3), differences, time."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from neuralizer_jax.evaluation.shown_names import METRICS, shown_task, tasks_in_order
from neuralizer_jax.evaluation.statistics import Estimate, mean_of
from neuralizer_jax.evaluation.table_formats import NOTHING, Cell, Table

_DIGITS = {"dice": 3, "psnr": 2, "ssim": 3, "hd95": 2}
_LESS_IS_BETTER = ("hd95",)

# More classes than this stand one below the other.
_MOST_CLASSES = 16

# A record's key, the column's name, and what its value is divided by.
_RUNTIME = (
    ("model", "Model", None),
    ("parameters", "Parameters", 1),
    ("n", "N", 1),
    ("flops", "GFLOP", 1e9),
    ("seconds", "Prediction (s)", 1),
    ("peak_bytes", "Memory (MiB)", 2**20),
    ("device", "Device", None),
    ("training_seconds", "Training (h)", 3600),
    ("training_steps", "Training steps", 1),
)


def scores_table(
    name: str,
    caption: str,
    columns: Mapping[str, Mapping[str, Estimate]],
    metrics: Mapping[str, str],
    *,
    intervals: bool = True,
) -> Table:
    """Means with intervals, a row a task and the means of tasks, the best of each row bold.

    Args:
        name: of the files.
        caption: text.
        columns: by heading, of tasks.
        metrics: of each task.
        intervals: whether to tell them.
    """

    def cells(estimates: Sequence[Estimate | None], metric: str) -> list[Cell]:
        texts = [estimate and shown_estimate(estimate, metric, interval=False) for estimate in estimates]
        best = _best(texts, metric)
        return [
            NOTHING if estimate is None else Cell(shown_estimate(estimate, metric, interval=intervals), text == best)
            for estimate, text in zip(estimates, texts, strict=True)
        ]

    return Table(name, caption, ("Task", *columns), _parts(columns, metrics, cells))


def differences_table(
    name: str,
    caption: str,
    columns: Mapping[str, Mapping[str, Estimate]],
    metrics: Mapping[str, str],
) -> Table:
    """Differences with intervals, a row a task and the means of tasks; bold where the interval is above 0.

    Args:
        name: of the files.
        caption: text.
        columns: by heading, of tasks.
        metrics: of each task.
    """

    def cells(estimates: Sequence[Estimate | None], metric: str) -> list[Cell]:
        return [
            NOTHING
            if estimate is None
            else Cell(shown_estimate(estimate, metric, signed=True), bold=estimate.interval[0] > 0)
            for estimate in estimates
        ]

    return Table(name, caption, ("Task", *columns), _parts(columns, metrics, cells))


def classes_table(
    name: str,
    caption: str,
    scores: Mapping[tuple[str, int, str], np.ndarray],
    models: Iterable[str],
    class_names: Mapping[str, str],
    size_names: Mapping[int, str],
) -> Table:
    """Mean and standard deviation over subjects of each class, a row a model and n (paper, Table 3).

    The best of each class is bold. The mean is over classes, its deviation that of the subjects' means. Many classes
    stand one below the other.

    Args:
        name: of the files.
        caption: text.
        scores: of `class_scores`.
        models: in their order.
        class_names: what to call a class; those that are not in it are called as they are.
        size_names: what to call an n.
    """
    keys = [(model, n) for model in models for n in sorted({n for its, n, _ in scores if its == model})]
    classes = sorted({label for _, _, label in scores if label}, key=_natural)
    columns = {}
    for label in [*classes, ""]:
        shown = [_mean_and_deviation(scores, model, n, label, classes) for model, n in keys]
        best = _best([mean for mean, _ in shown], "dice")
        columns[label] = [Cell(text, mean == best) if text else NOTHING for mean, text in shown]
    names = [class_names.get(label, label) for label in classes]
    rows = [f"{model}, N = {size_names.get(n, n)}" for model, n in keys]
    if len(classes) <= _MOST_CLASSES:
        lines = [(Cell(row), *cells) for row, cells in zip(rows, zip(*columns.values(), strict=True), strict=True)]
        of_model = [[line for line, (its, _) in zip(lines, keys, strict=True) if its == model] for model in models]
        return Table(name, caption, ("Model", *names, "Mean"), tuple(tuple(part) for part in of_model if part))
    lines = [(Cell(row), *cells) for row, cells in zip([*names, "Mean"], columns.values(), strict=True)]
    return Table(name, caption, ("Class", *rows), (tuple(lines[:-1]), tuple(lines[-1:])))


def runtime_table(name: str, caption: str, records: Iterable[Mapping[str, Any]]) -> Table:
    """Size and time of models, a row a record of `runtime.json`; columns that nobody has a value for are left out."""
    records = list(records)
    columns = [column for column in _RUNTIME if any(record.get(column[0]) is not None for record in records)]
    lines = tuple(tuple(_measured(record.get(key), unit) for key, _, unit in columns) for record in records)
    return Table(name, caption, tuple(heading for _, heading, _ in columns), (lines,))


def shown_estimate(estimate: Estimate, metric: str, *, interval: bool = True, signed: bool = False) -> str:
    """An estimate with the decimals of its metric, its interval in brackets; a difference has a sign."""
    digits = _DIGITS[metric]
    text = f"{estimate.value:{'+' if signed else ''}.{digits}f}"
    if not interval:
        return text
    low, high = estimate.interval
    return f"{text} [{low:.{digits}f}, {high:.{digits}f}]"


def _parts(columns: Mapping[str, Mapping[str, Estimate]], metrics: Mapping[str, str], cells) -> tuple:
    """Rows of tasks, and of the means over the tasks that all columns have."""
    tasks = [task for task in tasks_in_order(metrics) if any(task in column for column in columns.values())]
    rows, means = [], []
    for task in tasks:
        estimates = [column.get(task) for column in columns.values()]
        rows.append((Cell(f"{shown_task(task)}, {METRICS[metrics[task]]}"), *cells(estimates, metrics[task])))
    for metric in dict.fromkeys(metrics[task] for task in tasks):
        shared = [task for task in tasks if metrics[task] == metric and all(task in of for of in columns.values())]
        if len(shared) > 1:
            estimates = [mean_of(column[task] for task in shared) for column in columns.values()]
            means.append((Cell(f"Mean of {len(shared)} tasks, {METRICS[metric]}"), *cells(estimates, metric)))
    return tuple(rows), tuple(means)


def _best(texts: Sequence[str | None], metric: str) -> str | None:
    """The best of several numbers as they are shown, so that equal ones are equally good; None where there is one."""
    known = [text for text in texts if text is not None]
    if len(known) < 2:
        return None
    return (min if metric in _LESS_IS_BETTER else max)(known, key=float)


def _mean_and_deviation(scores, model: str, n: int, label: str, classes: Sequence[str]) -> tuple[str | None, str]:
    values = scores.get((model, n, label))
    if values is None:
        return None, ""
    its = [scores[model, n, name].mean() for name in classes if (model, n, name) in scores]
    mean = f"{np.mean(its) if label == '' else values.mean():.2f}"
    return mean, f"{mean} ± {values.std(ddof=1):.2f}" if len(values) > 1 else mean


def _natural(text: str) -> list[str | int]:
    """Text before its numbers, and those by their value."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def _measured(value: Any, unit: float | None) -> Cell:
    if value is None:
        return NOTHING
    if unit is None or isinstance(value, str):
        return Cell(str(value))
    value = value / unit
    if value == int(value) or value >= 1000:
        return Cell(f"{value:,.0f}")
    return Cell(f"{value:.3g}" if value < 100 else f"{value:.0f}")
