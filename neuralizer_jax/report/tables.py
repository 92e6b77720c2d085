"""The tables of the paper: tasks (Table 4), classes (Table 3), differences, runtime.

A function that makes a table takes the name of its files and the caption. Columns of estimates are given by heading,
the estimates of a column by task.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from neuralizer_jax.report.shown_names import METRICS, models_in_order, shown_size, shown_task, tasks_in_order
from neuralizer_jax.report.statistics import Estimate, mean_of
from neuralizer_jax.report.table_formats import NOTHING, Cell, Table

_DIGITS = {"dice": 3, "psnr": 2, "ssim": 3, "hd95": 2, "volume_error": 1}
_LESS_IS_BETTER = ("hd95", "volume_error")

# More classes than this, and than models and sizes, are rows: a printed page has few columns.
_MOST_CLASSES = 8

# Heading and format of each value in `runtime.json`, first those of a model, then those of a prediction.
_Format = Callable[[Any], str]
_OF_MODEL: dict[str, tuple[str, _Format]] = {
    "model": ("Model", str),
    "parameters": ("Parameters", lambda count: f"{count:,.0f}"),
    "training_seconds": ("Training", lambda seconds: _duration(seconds)),
    "training_steps": ("Training steps", lambda count: f"{count:,.0f}"),
}
_OF_PREDICTION: dict[str, tuple[str, _Format]] = {
    "context_size": ("N", lambda count: f"{count:,.0f}" if count else NOTHING.text),
    "flops": ("GFLOP", lambda count: _three_digits(count / 1e9)),
    "seconds": ("Prediction (s)", lambda seconds: _three_digits(seconds)),
    "peak_bytes": ("Memory (MiB)", lambda count: _three_digits(count / 2**20)),
    "device": ("Device", str),
}
_RUNTIME = _OF_MODEL | _OF_PREDICTION


def scores_table(
    name: str,
    caption: str,
    columns: Mapping[str, Mapping[str, Estimate]],
    metrics: Mapping[str, str],
    *,
    intervals: bool = True,
) -> Table:
    """Means with intervals, a row for each task and for the means of tasks; the best of each row is bold."""

    def cells(estimates: Sequence[Estimate | None], metric: str) -> list[Cell]:
        texts = [shown_estimate(found, metric, interval=False) if found else None for found in estimates]
        best = best_text(texts, metric)
        return [
            Cell(shown_estimate(found, metric, interval=intervals), text == best) if found else NOTHING
            for found, text in zip(estimates, texts, strict=True)
        ]

    return Table(name, caption, ("Task", *columns), _parts(columns, metrics, cells))


def differences_table(
    name: str, caption: str, columns: Mapping[str, Mapping[str, Estimate]], metrics: Mapping[str, str]
) -> Table:
    """Differences with intervals, a row for each task and for the means of tasks; bold if the interval is above 0."""

    def cells(estimates: Sequence[Estimate | None], metric: str) -> list[Cell]:
        return [
            Cell(shown_estimate(found, metric, signed=True), bold=found.interval[0] > 0) if found else NOTHING
            for found in estimates
        ]

    return Table(name, caption, ("Task", *columns), _parts(columns, metrics, cells))


def classes_table(
    name: str,
    caption: str,
    scores: Mapping[tuple[str, float, str], np.ndarray],
    models: Iterable[str],
    class_names: Mapping[str, str],
) -> Table:
    """Mean and standard deviation over subjects for each class, a row for each model and size (paper, Table 3).

    The scores are those of `class_scores`. The best model of each class is bold. The last column is the mean over
    classes, with the standard deviation of the subjects' means. If there are many classes, they are the rows.
    """
    keys = [(model, n) for model in models for n in sorted({n for its, n, _ in scores if its == model})]
    classes = sorted({label for _, _, label in scores if label}, key=natural_key)
    columns = {}
    for label in [*classes, ""]:
        shown = [_mean_and_deviation(scores, model, n, label, classes) for model, n in keys]
        best = best_text([mean for mean, _ in shown], "dice")
        columns[label] = [Cell(text, mean == best) if text else NOTHING for mean, text in shown]
    names = [class_names.get(label, label) for label in classes]
    rows = [f"{model}, N = {shown_size(n)}" for model, n in keys]
    if len(classes) <= max(_MOST_CLASSES, len(rows)):
        lines = [(Cell(row), *cells) for row, cells in zip(rows, zip(*columns.values(), strict=True), strict=True)]
        of_model = [[line for line, (its, _) in zip(lines, keys, strict=True) if its == model] for model in models]
        return Table(name, caption, ("Model", *names, "Mean"), tuple(tuple(part) for part in of_model if part))
    lines = [(Cell(row), *cells) for row, cells in zip([*names, "Mean"], columns.values(), strict=True)]
    return Table(name, caption, ("Class", *rows), (tuple(lines[:-1]), tuple(lines[-1:])))


def runtime_table(name: str, caption: str, records: Iterable[Mapping[str, Any]]) -> Table:
    """Size and time of models: a part for each model and device, a row for each context size.

    Values of a model are not repeated from row to row, columns without values are left out, and a device that all
    have in common is named in the caption. The records are those of `runtime.json`, in any order.
    """
    parts: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for record in sorted(records, key=lambda record: natural_key(str(record.get("context_size")))):
        parts.setdefault((str(record.get("model")), str(record.get("device"))), []).append(record)
    order = models_in_order(model for model, _ in parts)
    rows = [parts[part] for part in sorted(parts, key=lambda part: (order.index(part[0]), part[1]))]
    keys = {key for part in rows for record in part for key, value in record.items() if value is not None}
    if "device" in keys and len({device for _, device in parts}) == 1:
        keys.remove("device")
        caption = f"{caption} Device: {rows[0][0]['device']}.".lstrip()
    columns = [key for key in _RUNTIME if key in keys]
    head = tuple(_RUNTIME[key][0] for key in columns)
    return Table(name, caption, head, tuple(_runtime_lines(part, columns) for part in rows))


def shown_estimate(estimate: Estimate, metric: str, *, interval: bool = True, signed: bool = False) -> str:
    """An estimate with the decimals of its metric, and its interval in brackets.

    >>> shown_estimate(Estimate(0.8, np.linspace(0.7, 0.9, 41)), "dice")
    '0.800 [0.705, 0.895]'
    """
    digits = _DIGITS[metric]
    text = f"{estimate.value:{'+' if signed else ''}.{digits}f}"
    if not interval:
        return text
    low, high = estimate.interval
    return f"{text} [{low:.{digits}f}, {high:.{digits}f}]"


def _parts(columns: Mapping[str, Mapping[str, Estimate]], metrics: Mapping[str, str], cells) -> tuple:
    """Rows of tasks, then rows of means over tasks: of those tasks that every column with the metric has."""
    tasks = [task for task in tasks_in_order(metrics) if any(task in column for column in columns.values())]
    rows, means = [], []
    for task in tasks:
        estimates = [column.get(task) for column in columns.values()]
        rows.append((Cell(f"{shown_task(task)}, {METRICS[metrics[task]]}"), *cells(estimates, metrics[task])))
    for metric in dict.fromkeys(metrics[task] for task in tasks):
        of_metric = [task for task in tasks if metrics[task] == metric]
        having = [column for column in columns.values() if any(task in column for task in of_metric)]
        shared = [task for task in of_metric if all(task in column for column in having)]
        if len(shared) > 1:
            estimates = [mean_of(its[task] for task in shared) if its in having else None for its in columns.values()]
            means.append((Cell(f"Mean of {len(shared)} tasks, {METRICS[metric]}"), *cells(estimates, metric)))
    return tuple(rows), tuple(means)


def best_text(texts: Sequence[str | None], metric: str) -> str | None:
    """The best of several numbers as shown, so that equal numbers are equally good; None if there is only one."""
    known = [text for text in texts if text is not None]
    if len(known) < 2:
        return None
    return (min if metric in _LESS_IS_BETTER else max)(known, key=float)


def _mean_and_deviation(scores, model: str, n: float, label: str, classes: Sequence[str]) -> tuple[str | None, str]:
    values = scores.get((model, n, label))
    if values is None:
        return None, ""
    its = [scores[model, n, name].mean() for name in classes if (model, n, name) in scores]
    mean = f"{np.mean(its) if label == '' else values.mean():.2f}"
    return mean, f"{mean} ± {values.std(ddof=1):.2f}" if len(values) > 1 else mean


def natural_key(text: str) -> list[str | int]:
    """A sorting key that orders numbers in text by value."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def _runtime_lines(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> tuple[tuple[Cell, ...], ...]:
    """A row for each record of the same model."""
    return tuple(
        tuple(
            Cell("") if key in _OF_MODEL and above and above.get(key) == record.get(key) else _measured(key, record)
            for key in columns
        )
        for above, record in pairwise(({}, *records))
    )


def _measured(key: str, record: Mapping[str, Any]) -> Cell:
    value, (_, show) = record.get(key), _RUNTIME[key]
    if value is None:
        return NOTHING
    return Cell(show(value) if isinstance(value, int | float) else str(value))


def _duration(seconds: float) -> str:
    length, unit = next((its for its in ((3600, "h"), (60, "min")) if seconds >= its[0]), (1, "s"))
    return f"{_three_digits(seconds / length)} {unit}"


def _three_digits(value: float) -> str:
    """A number with three significant digits, or all of those before the point."""
    return f"{value:,.0f}" if value >= 999.5 else f"{value:#.3g}".rstrip(".")
