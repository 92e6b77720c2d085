"""An experiment's models side by side: the scores by which they can be compared, their means and differences."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from neuralizer_jax.evaluation.scores import Kind
from neuralizer_jax.report.shown_names import SEEN, UNSEEN, models_in_order
from neuralizer_jax.report.statistics import (
    CELL,
    Estimate,
    Key,
    compared,
    main_metrics,
    main_scores,
    mean_of,
    modality_errors,
    shared,
    task_means,
)


@dataclass(frozen=True, eq=False)
class Comparison:
    """The comparison of an experiment's models. `given` are its scores, each task in its main metric."""

    given: pd.DataFrame

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The rows of `given` by which the models can be compared."""
        return compared(self.given)

    @cached_property
    def means(self) -> dict[Key, Estimate]:
        """The means of all models, paired."""
        return task_means(self.scores)

    @cached_property
    def errors(self) -> dict[Key, float]:
        """The standard errors over modalities."""
        return modality_errors(self.scores)

    @cached_property
    def metrics(self) -> dict[str, str]:
        """The main metric of each task."""
        return main_metrics(self.scores)

    def of_kind(self, *kinds: Kind) -> list[str]:
        """The models of some kinds, in order."""
        return models_in_order(self.scores.loc[self.scores["kind"].isin(kinds), "model"])

    @cached_property
    def models(self) -> list[str]:
        """Trained models."""
        return self.of_kind(Kind.IN_CONTEXT, Kind.BASELINE)

    @cached_property
    def size(self) -> float:
        """The largest size that all models have; or else that all in-context models have; or else the first model."""
        sizes = {model: {size for its, _, size in self.means if its == model} for model in self.models}
        in_context = [sizes[model] for model in self.of_kind(Kind.IN_CONTEXT)]
        common = [set.intersection(*found) for found in (list(sizes.values()), in_context) if found]
        return max(next(filter(None, common), sizes[self.models[0]]))

    @property
    def context_model(self) -> str | None:
        """The in-context model that has not seen its task, or else the one that has, or else any."""
        there = self.of_kind(Kind.IN_CONTEXT)
        return next((model for model in (UNSEEN, SEEN, *there) if model in there), None)

    def at(self, model: str, size: float) -> dict[str, Estimate]:
        """A model's means at a size, by task."""
        return {task: found for (its, task, its_size), found in self.means.items() if (its, its_size) == (model, size)}

    def shared_sizes(self, *models: str) -> list[float]:
        """Sizes that all of some models have."""
        return sorted(set.intersection(*({size for its, _, size in self.means if its == model} for model in models)))

    def differences(self, model: str, other: str, size: float) -> dict[str, Estimate]:
        """A model's mean minus another's, for each task that both have at a size."""
        one, two = self.at(model, size), self.at(other, size)
        return {task: one[task] - two[task] for task in self.metrics if task in one and task in two}

    def uneven(self) -> list[str]:
        """Tasks that have other cells at one size than at another, so their scores differ in more than the size."""
        return sorted(set(self.scores.loc[~shared(self.scores, "size", ["task"], CELL), "task"]))


def compare(scores: pd.DataFrame) -> Comparison:
    """The comparison of the models of one experiment."""
    return Comparison(main_scores(scores))


def of_t1(comparison: Comparison) -> Comparison:
    """The part of a comparison whose inputs are T1."""
    inputs = comparison.given["modality"].str.partition(">")[0]
    return Comparison(comparison.given[inputs == "T1"])


def metric_means(estimates: Mapping[str, Estimate], metrics: Mapping[str, str]) -> dict[str, Estimate]:
    """The mean over the tasks of each metric."""
    tasks = {metric: [task for task in estimates if metrics[task] == metric] for metric in ("dice", "psnr")}
    return {metric: mean_of(estimates[task] for task in of) for metric, of in tasks.items() if of}
