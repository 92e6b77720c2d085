"""The tables of the paper, from numbers of `statistics.py`: tasks (Table 4), classes (Table 3), differences, time."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from neuralizer_jax.report.shown_names import METRICS, models_in_order, shown_task, tasks_in_order
from neuralizer_jax.report.statistics import Estimate, mean_of
from neuralizer_jax.report.table_formats import NOTHING, Cell, Table

_DIGITS = {"dice": 3, "psnr": 2, "ssim": 3, "hd95": 2}
_LESS_IS_BETTER = ("hd95",)

# More classes than this, and than rows, stand one below the other: on a printed page columns are scarce.
_MOST_CLASSES = 8

# What a value of `runtime.json` is called, and how a number is shown. The first tell of a model, the others of a
# prediction.
_OF_MODEL = {
    "model": ("Model", str),
    "parameters": ("Parameters", lambda count: f"{count:,.0f}"),
    "training_seconds": ("Training", lambda seconds: _duration(seconds)),
    "training_steps": ("Training steps", lambda count: f"{count:,.0f}"),
}
_OF_PREDICTION = {
    "n": ("N", lambda count: f"{count:,.0f}"),
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
    stand one below the other, then a column is a model and n.

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
    if len(classes) <= max(_MOST_CLASSES, len(rows)):
        lines = [(Cell(row), *cells) for row, cells in zip(rows, zip(*columns.values(), strict=True), strict=True)]
        of_model = [[line for line, (its, _) in zip(lines, keys, strict=True) if its == model] for model in models]
        return Table(name, caption, ("Model", *names, "Mean"), tuple(tuple(part) for part in of_model if part))
    lines = [(Cell(row), *cells) for row, cells in zip([*names, "Mean"], columns.values(), strict=True)]
    return Table(name, caption, ("Class", *rows), (tuple(lines[:-1]), tuple(lines[-1:])))


def runtime_table(name: str, caption: str, records: Iterable[Mapping[str, Any]]) -> Table:
    """Size and time of models: a part a model and device, in it a row an n.

    What the row above tells of the model is not told again; columns that nobody has a value for are left out; a device
    that all have in common stands in the caption.

    Args:
        name: of the files.
        caption: text.
        records: of `runtime.json`, in any order.
    """
    parts: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for record in sorted(records, key=lambda record: _natural(str(record.get("n")))):
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
    """An estimate with the decimals of its metric, its interval in brackets; a difference has a sign."""
    digits = _DIGITS[metric]
    text = f"{estimate.value:{'+' if signed else ''}.{digits}f}"
    if not interval:
        return text
    low, high = estimate.interval
    return f"{text} [{low:.{digits}f}, {high:.{digits}f}]"


def _parts(columns: Mapping[str, Mapping[str, Estimate]], metrics: Mapping[str, str], cells) -> tuple:
    """Rows of tasks, and of the means over the tasks of a metric that all columns have, but those that have none."""
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
            estimates = [
                mean_of(column[task] for task in shared) if column in having else None for column in columns.values()
            ]
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


def _runtime_lines(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> tuple[tuple[Cell, ...], ...]:
    """A row a record of the same model."""
    above: Mapping[str, Any] = {}
    lines = []
    for record in records:
        again = {key for key in _OF_MODEL if above and record.get(key) == above.get(key)}
        lines.append(tuple(Cell("") if key in again else _measured(key, record.get(key)) for key in columns))
        above = record
    return tuple(lines)


def _measured(key: str, value: Any) -> Cell:
    if value is None:
        return NOTHING
    _, show = _RUNTIME[key]
    return Cell(show(value) if isinstance(value, int | float) else str(value))


def _duration(seconds: float) -> str:
    length, unit = next((its for its in ((3600, "h"), (60, "min")) if seconds >= its[0]), (1, "s"))
    return f"{_three_digits(seconds / length)} {unit}"


def _three_digits(value: float) -> str:
    """A number with three digits that count, or all of those before the point."""
    return f"{value:,.0f}" if value >= 999.5 else f"{value:#.3g}".rstrip(".")
