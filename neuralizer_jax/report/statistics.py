"""Means of scores and their confidence intervals.

Means are taken over draws (and trainings), then over the subjects of a cell (a dataset, modality, class, plane and
position of a task), then over the cells of a task, then over tasks, so each subject, cell and task has equal weight
(paper, section 4.1).
Intervals are for another sample of subjects: a bootstrap (Efron and Tibshirani, 1993) resamples the subjects of each
dataset together with all of their scores, so differences between models are paired.

Tables are those of `evaluation.scores.scores_of`; their `size` is a context size, or a baseline's number of training
subjects.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from neuralizer_jax.evaluation.scores import Kind

CELL = ("dataset", "modality", "class", "plane", "position")
RESAMPLES = 2000
_CONFIDENCE = 0.95

# A task is judged by the first of these metrics, by name, that it has.
_MAIN_METRICS = ("dice", "psnr")

# Model, task, size.
Key = tuple[str, str, float]
_KEY = ["model", "task", "size"]


@dataclass(frozen=True, eq=False)
class Estimate:
    """A mean, and the means of resampled subjects. Estimates from one call of `task_means` are paired.

    >>> one, other = Estimate(0.8, np.array([0.79, 0.81])), Estimate(0.7, np.array([0.69, 0.71]))
    >>> [round(end, 3) for end in (one - other).interval]
    [0.1, 0.1]

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
    """The mean of one or more estimates, for instance over tasks."""
    estimates = list(estimates)
    return Estimate(
        float(np.mean([estimate.value for estimate in estimates])),
        np.mean([estimate.resamples for estimate in estimates], axis=0),
    )


def main_metrics(scores: pd.DataFrame) -> dict[str, str]:
    """The metric that each task is judged by: Dice, else PSNR. Tasks with neither are left out."""
    found = scores[scores["metric"].isin(_MAIN_METRICS)].groupby("task")["metric"].min()
    return dict(zip(found.index, found, strict=True))


def main_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores of each task in its main metric."""
    return scores[scores["metric"] == scores["task"].map(main_metrics(scores))]


def compared(scores: pd.DataFrame) -> pd.DataFrame:
    """The rows by which models can be compared: for each task, size and metric, what all of its models have.

    Models with the task at that size are compared, in the cells that all models of the task have at any size: models
    are compared on the same cells at every size. Subjects of a cell have to be the same for all models, and contexts
    (draws) for all but baselines. A missing score (NaN) counts as absent, so its subject is left out for all models.
    """
    scores = scores[np.isfinite(scores["value"])]
    scores = scores[shared(scores, "model", ["task", "metric"], CELL)]
    within = ["task", "size", "metric"]
    keep = scores["kind"] == Kind.BASELINE
    keep |= shared(scores[~keep], "model", within, (*CELL, "subject", "draw")).reindex(scores.index, fill_value=False)
    scores = scores[keep]
    return scores[shared(scores, "model", within, (*CELL, "subject"))]


def complete(scores: pd.DataFrame) -> pd.DataFrame:
    """The rows by which sizes can be compared: for each model and task, the subjects that have all of its sizes."""
    scores = scores[np.isfinite(scores["value"])]
    return scores[shared(scores, "size", ["model", "task", "metric"], (*CELL, "subject"))]


def task_means(scores: pd.DataFrame, seed: int = 0) -> dict[Key, Estimate]:
    """The mean of each model, task and size of one experiment, with its resamples; all of them are paired.

    Each task has one metric. Missing scores are left out. The seed is that of the resampling.
    """
    scores = subject_means(scores)
    if scores.empty:
        return {}
    drawn = _resampled_subjects(scores, seed)
    cells = [_cell_resamples(rows, drawn) for _, rows in scores.groupby(["task", "dataset"])]
    means = pd.concat(cells).groupby(level=_KEY).mean()
    return {key: Estimate(float(mean[0]), mean[1:]) for key, mean in zip(means.index, means.to_numpy(), strict=True)}


def subject_means(scores: pd.DataFrame) -> pd.DataFrame:
    """The mean over draws: a row for each subject of a cell, of one experiment and each task in one metric."""
    if scores["experiment"].nunique() > 1 or (scores.groupby("task")["metric"].nunique() > 1).any():
        raise ValueError("scores of several experiments or metrics, expected one experiment and one metric a task")
    return mean_within(scores[np.isfinite(scores["value"])], *_KEY, *CELL, "subject")


def mean_within(scores: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The mean `value` of the rows that agree in some columns."""
    return scores.groupby(list(columns))["value"].mean().reset_index()


def cell_means(scores: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The mean over subjects, then over the cells that agree in some columns."""
    return mean_within(mean_within(subject_means(scores), *_KEY, *CELL), *columns)


def modality_errors(scores: pd.DataFrame) -> dict[Key, float]:
    """The standard error over modalities for each model, task and size; NaN for one modality."""
    errors = cell_means(scores, *_KEY, "modality").groupby(_KEY)["value"].sem()
    return dict(zip(errors.index, errors.tolist(), strict=True))


def relative_performance(scores: pd.DataFrame) -> dict[str, dict[float, float]]:
    """For each task, the score at each context size divided by the best over sizes (paper, Fig. 5).

    Only subjects with all sizes count. A task is left out if no subject has all sizes, or its best is not positive.
    The scores are those of one model and experiment, each task in one metric.
    """
    found = cell_means(complete(scores), "task", "size").set_index(["task", "size"])["value"]
    best = found.groupby("task").transform("max")
    shares: dict[str, dict[float, float]] = {}
    for task, size, share in (found / best)[best > 0].reset_index().itertuples(index=False, name=None):
        shares.setdefault(task, {})[size] = share
    return shares


def class_scores(scores: pd.DataFrame) -> dict[tuple[str, float, str], np.ndarray]:
    """The subjects' scores `[S]` for each model, size and class, and their means over classes as class "".

    The scores are of one experiment, task and metric. A subject counts once, with its mean over modalities.
    """
    subjects = mean_within(subject_means(scores), "model", "size", "class", "dataset", "subject")
    overall = mean_within(subjects, "model", "size", "dataset", "subject").assign(**{"class": ""})
    found = pd.concat([subjects, overall]).groupby(["model", "size", "class"])["value"].agg(list)
    return dict(zip(found.index, map(np.array, found), strict=True))


def shared(scores: pd.DataFrame, over: str, within: Sequence[str], key: Sequence[str]) -> pd.Series:
    """Mask of the rows whose key exists for every value of a column that occurs in their part of the table."""
    found = scores.groupby([*within, *key])[over].transform("nunique")
    return found == scores.groupby(list(within))[over].transform("nunique")


def _resampled_subjects(scores: pd.DataFrame, seed: int) -> dict[str, pd.DataFrame]:
    """For each dataset of S subjects, how often each is drawn `[S, RESAMPLES]` when S are drawn with replacement."""
    generator = np.random.default_rng(seed)
    found = {}
    for dataset, subjects in scores.groupby("dataset")["subject"].unique().items():
        number = len(subjects)
        drawn = generator.multinomial(number, np.full(number, 1 / number), RESAMPLES)
        found[str(dataset)] = pd.DataFrame(drawn.T.astype(np.float64), index=sorted(subjects))
    return found


def _cell_resamples(scores: pd.DataFrame, drawn: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """A row for each cell of a dataset: its mean over subjects, then the means of `RESAMPLES` resamples.

    A cell without a drawn subject keeps its mean.
    """
    table = scores.pivot(index="subject", columns=[*_KEY, *CELL[1:]], values="value")
    values, there = table.to_numpy(), table.notna().to_numpy().astype(np.float64)
    mean = np.nanmean(values, 0)
    times = drawn[scores["dataset"].iloc[0]].loc[table.index].to_numpy().T
    resamples = mean + times @ np.nan_to_num(values - mean) / np.maximum(times @ there, 1)
    return pd.DataFrame(np.vstack([mean, resamples]).T, index=table.columns)
