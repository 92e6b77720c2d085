"""Means of scores and how sure they are.

A mean is taken over the draws of a subject, then over the subjects of a cell (a dataset, modality and class of a task),
then over the cells of a task, then over tasks: each subject, cell and task counts alike (as the paper, section 4.1).
The uncertainty is that of another sample of subjects: a bootstrap (Efron and Tibshirani, 1993) that resamples the
subjects of each dataset, with all of their scores together, so that differences between models are paired.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from neuralizer_jax.evaluation.scores import Scores

CELL = ("dataset", "modality", "class")
RESAMPLES = 2000
_CONFIDENCE = 0.95

# The score that a task is judged by: the first of these that it has.
_MAIN_METRICS = ("dice", "psnr")

# Model, task, n.
Key = tuple[str, str, int]


@dataclass(frozen=True, eq=False)
class Estimate:
    """A mean, and the same of resampled subjects. Those of one `task_means` are paired: they can be subtracted.

    Attributes:
        value: the mean.
        resamples: `[RESAMPLES]`.
    """

    value: float
    resamples: np.ndarray

    def __sub__(self, other: "Estimate") -> "Estimate":
        """The difference, on the same resampled subjects."""
        return Estimate(self.value - other.value, self.resamples - other.resamples)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval, by percentiles."""
        tail = 50 * (1 - _CONFIDENCE)
        low, high = np.percentile(self.resamples, (tail, 100 - tail))
        return float(low), float(high)


def mean_of(estimates: Iterable[Estimate]) -> Estimate:
    """The mean of at least one, for instance over tasks."""
    estimates = list(estimates)
    return Estimate(
        float(np.mean([estimate.value for estimate in estimates])),
        np.mean([estimate.resamples for estimate in estimates], axis=0),
    )


def is_baseline(model: str) -> bool:
    """Whether a model has no context: then `n` counts its training subjects, and draws are trainings, not contexts."""
    return model.startswith("Baseline")


def main_metrics(scores: Scores) -> dict[str, str]:
    """The metric that each task is judged by, where it has it: Dice, else PSNR."""
    found = {task: scores.where(task=task).unique("metric") for task in scores.unique("task")}
    chosen = {task: next((name for name in _MAIN_METRICS if name in found[task]), "") for task in found}
    return {task: metric for task, metric in chosen.items() if metric}


def main_scores(scores: Scores) -> Scores:
    """Of each task the scores in its main metric."""
    keep = np.zeros(len(scores), bool)
    for task, metric in main_metrics(scores).items():
        keep |= _is(scores, "task", task) & _is(scores, "metric", metric)
    return scores.rows(keep)


def compared(scores: Scores) -> Scores:
    """The rows by which models can be compared: of each task, n and metric, what all of them have.

    Compared are all models that have the task at that n, in the cells that all models of the task have, at whatever n:
    along n, nothing but n changes. The subjects of a cell have to agree, and the contexts (draws) of models that have
    some. A missing score (NaN) counts as not there: who has no distance under one model is left out for all.
    """
    scores = scores.rows(np.isfinite(scores.value))
    scores = scores.rows(_shared(scores, "model", ("task", "metric"), CELL))
    within = ("task", "n", "metric")
    has_context = np.array([not is_baseline(name) for name in scores.names["model"]], bool)[scores.codes["model"]]
    keep = np.ones(len(scores), bool)
    keep[has_context] = _shared(scores.rows(has_context), "model", within, (*CELL, "subject", "draw"))
    scores = scores.rows(keep)
    return scores.rows(_shared(scores, "model", within, (*CELL, "subject")))


def complete(scores: Scores) -> Scores:
    """The rows by which context sizes can be compared: of each model and task, the subjects that have all of its n."""
    scores = scores.rows(np.isfinite(scores.value))
    return scores.rows(_shared(scores, "n", ("model", "task", "metric"), (*CELL, "subject")))


def task_means(scores: Scores, seed: int = 0) -> dict[Key, Estimate]:
    """The mean of each model, task and n, with its resamples.

    Args:
        scores: of one experiment, and of each task in one metric. Missing ones are left out.
        seed: of the resampling.

    Returns:
        Estimates that are paired.
    """
    scores = subject_means(scores)
    weights = _resampled_subjects(scores, seed)
    groups, first = scores.groups("model", "task", "n")
    return {
        scores.at(row, "model", "task", "n"): _estimate(scores.rows(groups == group), weights)
        for group, row in enumerate(first)
    }


def subject_means(scores: Scores) -> Scores:
    """The mean over draws: a row a subject in a cell, of one experiment and of each task in one metric."""
    if len(scores.unique("experiment")) > 1 or len(scores.groups("task")[1]) < len(scores.groups("task", "metric")[1]):
        raise ValueError("scores of several experiments or metrics, expected one experiment and one metric a task")
    scores = scores.rows(np.isfinite(scores.value))
    return mean_within(scores, "model", "task", "n", *CELL, "subject")


def mean_within(scores: Scores, *columns: str) -> Scores:
    """The mean of the rows that are alike in some columns, a row each; its other columns mean nothing."""
    groups, first = scores.groups(*columns)
    means = np.bincount(groups, scores.value) / np.bincount(groups)
    return Scores({name: codes[first] for name, codes in scores.codes.items()}, scores.names, means)


def modality_means(scores: Scores) -> dict[Key, np.ndarray]:
    """Of each model, task and n the means of its modalities `[M]`, each over the cells of that modality."""
    cells = mean_within(subject_means(scores), "model", "task", "n", *CELL)
    modalities = mean_within(cells, "model", "task", "n", "modality")
    groups, first = modalities.groups("model", "task", "n")
    return {
        modalities.at(row, "model", "task", "n"): modalities.value[groups == group] for group, row in enumerate(first)
    }


def standard_error(values: np.ndarray) -> float:
    """The standard error of the mean of values `[M]`, NaN for fewer than two."""
    return float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")


def relative_performance(scores: Scores) -> dict[str, dict[int, float]]:
    """A model's score at each context size, as a share of its best over the sizes (paper, Fig. 5), for each task.

    The subjects are those that have all sizes. Dice and PSNR alike are shares of their value.

    Args:
        scores: of one model and experiment, of each task in one metric.

    Returns:
        By task and n. A task whose best is not positive, or that no subject has at all sizes, is not in it.
    """
    cells = mean_within(subject_means(complete(scores)), "task", "n", *CELL)
    tasks = mean_within(cells, "task", "n")
    found = {}
    for row, value in enumerate(tasks.value):
        task, n = tasks.at(row, "task", "n")
        found.setdefault(task, {})[n] = float(value)
    return {
        task: {n: value / max(sizes.values()) for n, value in sizes.items()}
        for task, sizes in found.items()
        if max(sizes.values()) > 0
    }


def class_scores(scores: Scores) -> dict[tuple[str, int, str], np.ndarray]:
    """Of each model, n and class the subjects' scores `[S]`, and their means over classes as class "".

    Args:
        scores: of one experiment, task and metric. A subject counts once, with its mean over modalities.
    """
    subjects = mean_within(subject_means(scores), "model", "n", "class", "dataset", "subject")
    overall = mean_within(subjects, "model", "n", "dataset", "subject")
    found = {}
    for table, columns in ((subjects, ("model", "n", "class")), (overall, ("model", "n"))):
        groups, first = table.groups(*columns)
        for group, row in enumerate(first):
            key = table.at(row, *columns)
            found[(*key, "") if len(key) == 2 else key] = table.value[groups == group]
    return found


def _is(scores: Scores, column: str, name: str) -> np.ndarray:
    return scores.codes[column] == scores.names[column].index(name)


def _shared(scores: Scores, over: str, within: tuple[str, ...], key: tuple[str, ...]) -> np.ndarray:
    """Mask `[R]` of the rows whose key exists with everything in a column that occurs in their part of the table."""
    part, _ = scores.groups(*within)
    whole, _ = scores.groups(*within, *key)
    _, pairs = scores.groups(*within, over)
    _, triples = scores.groups(*within, *key, over)
    expected, found = np.bincount(part[pairs]), np.bincount(whole[triples])
    return found[whole] == expected[part]


def _resampled_subjects(scores: Scores, seed: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Of each dataset its subjects `[S]`, and how often each is drawn `[RESAMPLES, S]` when S are drawn of them."""
    generator = np.random.default_rng(seed)
    found = {}
    for dataset in np.unique(scores.codes["dataset"]):
        subjects = np.unique(scores.codes["subject"][scores.codes["dataset"] == dataset])
        number = len(subjects)
        drawn = generator.multinomial(number, np.full(number, 1 / number), RESAMPLES)
        found[int(dataset)] = subjects, drawn.astype(np.float64)
    return found


def _estimate(scores: Scores, weights: dict[int, tuple[np.ndarray, np.ndarray]]) -> Estimate:
    """The mean over cells of the means of subjects. A cell of which no subject was drawn keeps its mean."""
    means, resamples = [], []
    for dataset in np.unique(scores.codes["dataset"]):
        rows = scores.rows(scores.codes["dataset"] == dataset)
        subjects, drawn = weights[int(dataset)]
        cells, _ = rows.groups(*CELL)
        values = np.zeros((len(subjects), cells.max() + 1))
        there = np.zeros_like(values)
        place = np.searchsorted(subjects, rows.codes["subject"]), cells
        values[place], there[place] = rows.value, 1
        mean = values.sum(0) / there.sum(0)
        number = drawn @ there
        deviation = drawn @ (there * (values - mean)) / np.maximum(number, 1)
        means.append(mean)
        resamples.append(mean + deviation)
    return Estimate(float(np.concatenate(means).mean()), np.concatenate(resamples, axis=1).mean(1))
