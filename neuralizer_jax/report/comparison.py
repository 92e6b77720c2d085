"""An experiment's models side by side: the scores by which they can be compared, their means and differences."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from neuralizer_jax.evaluation.scores import Scores
from neuralizer_jax.report.shown_names import SEEN, UNSEEN, models_in_order
from neuralizer_jax.report.statistics import (
    CELL,
    Estimate,
    Key,
    compared,
    is_baseline,
    main_metrics,
    main_scores,
    mean_of,
    modality_means,
    standard_error,
    task_means,
)

# The largest context of the paper. A baseline that was trained on more subjects than that was trained on all of them.
_LARGEST = 32
ALL = 2 * _LARGEST


@dataclass(frozen=True, eq=False)
class Comparison:
    """An experiment.

    Attributes:
        given: its scores, each task in its main metric.
        trivial: models that have learned nothing.
    """

    given: Scores
    trivial: tuple[str, ...]

    @cached_property
    def scores(self) -> Scores:
        """Those of `given` by which the models can be compared."""
        return compared(self.given)

    @cached_property
    def means(self) -> dict[Key, Estimate]:
        """The means of all models, paired."""
        return task_means(self.scores)

    @cached_property
    def errors(self) -> dict[Key, float]:
        """The standard errors over modalities."""
        return {key: standard_error(values) for key, values in modality_means(self.scores).items()}

    @cached_property
    def metrics(self) -> dict[str, str]:
        """The main metric of each task."""
        return main_metrics(self.scores)

    @cached_property
    def models(self) -> list[str]:
        """Models that have learned something."""
        return [model for model in models_in_order(self.scores.unique("model")) if model not in self.trivial]

    @cached_property
    def size(self) -> int:
        """The largest n that all models have, or if they share none, all that have a context, or else the first."""
        sizes = {model: {n for its, _, n in self.means if its == model} for model in self.models}
        with_context = [sizes[model] for model in self.models if not is_baseline(model)]
        shared = [set.intersection(*found) for found in (list(sizes.values()), with_context) if found]
        return max(next(filter(None, shared), sizes[self.models[0]]))

    @property
    def context_model(self) -> str | None:
        """The model that has not seen its task, or else the one that has, or any that has a context."""
        there = [model for model in self.models if not is_baseline(model)]
        return next((model for model in (UNSEEN, SEEN, *there) if model in there), None)

    def at(self, model: str, n: int) -> dict[str, Estimate]:
        """A model's means at n, by task."""
        return {task: found for (its, task, size), found in self.means.items() if (its, size) == (model, n)}

    def shared_sizes(self, *models: str) -> list[int]:
        """Every n that all of some models have."""
        return sorted(set.intersection(*({n for its, _, n in self.means if its == model} for model in models)))

    @property
    def size_names(self) -> dict[int, str]:
        """What an axis or a table calls an n other than by its number."""
        return {ALL: "all"} if any(n == ALL and is_baseline(model) for model, _, n in self.means) else {}

    def uneven(self) -> list[str]:
        """Tasks whose sizes of contexts are not of the same cells: along n, not only n differs."""
        scores = self.scores
        _, rows = scores.groups("task", "n", *CELL)
        cells: dict[str, dict[int, set]] = {}
        for row in rows:
            task, n, *cell = scores.at(row, "task", "n", *CELL)
            cells.setdefault(task, {}).setdefault(n, set()).add(tuple(cell))
        return [task for task, sizes in cells.items() if len({frozenset(of) for of in sizes.values()}) > 1]


def compare(scores: Scores, trivial: Collection[str] = ()) -> Comparison:
    """The comparison of an experiment's models.

    Args:
        scores: of one experiment.
        trivial: names of models that have learned nothing.
    """
    return Comparison(main_scores(_all_subjects(scores)), tuple(sorted(set(trivial) & set(scores.unique("model")))))


def of_t1(comparison: Comparison) -> Comparison:
    """The part of a comparison whose inputs are T1."""
    given = comparison.given
    is_t1 = [modality.partition(">")[0] == "T1" for modality in given.names["modality"]]
    return Comparison(given.rows(np.array(is_t1, bool)[given.codes["modality"]]), comparison.trivial)


def differences(
    means: Mapping[Key, Estimate], model: str, other: str, n: int, metrics: Mapping[str, str]
) -> dict[str, Estimate]:
    """Of each task that both models have at n the model's mean minus the other's."""
    return {
        task: means[model, task, n] - means[other, task, n]
        for task in metrics
        if (model, task, n) in means and (other, task, n) in means
    }


def metric_means(estimates: Mapping[str, Estimate], metrics: Mapping[str, str]) -> dict[str, Estimate]:
    """The mean over the tasks of each metric."""
    tasks = {metric: [task for task in estimates if metrics[task] == metric] for metric in ("dice", "psnr")}
    return {metric: mean_of(estimates[task] for task in of) for metric, of in tasks.items() if of}


def _all_subjects(scores: Scores) -> Scores:
    """The scores with `ALL` as the n of baselines that were trained on more subjects than the largest context has.

    How many subjects a dataset has differs; of several such baselines of a cell the one with the most subjects stays.
    """
    n = np.array(scores.names["n"], np.int64)[scores.codes["n"]]
    large = np.array([is_baseline(model) for model in scores.names["model"]], bool)[scores.codes["model"]]
    large &= n > _LARGEST
    groups, first = scores.groups("model", "task", *CELL, "subject", "metric")
    most = np.zeros(len(first), np.int64)
    np.maximum.at(most, groups, n)
    keep = ~large | (n == most[groups])
    names = tuple(sorted({*scores.names["n"], ALL}))
    n = np.where(large, ALL, n)
    codes = {**scores.codes, "n": np.searchsorted(names, n)}
    return Scores(codes, {**scores.names, "n": names}, scores.value).rows(keep)
