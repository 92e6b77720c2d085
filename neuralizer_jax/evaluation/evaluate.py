"""Scores models on test cases: all of them see the same episodes. Some predictions are kept as examples."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from neuralizer_jax.case import Case
from neuralizer_jax.errors import InputError
from neuralizer_jax.evaluation.case_scores import IMAGE_METRICS, SEGMENTATION_METRICS, case_scores
from neuralizer_jax.evaluation.examples import add_prediction, example_cases
from neuralizer_jax.evaluation.predictor import MOST_TOGETHER, Predictor
from neuralizer_jax.evaluation.score_log import ScoresTable
from neuralizer_jax.evaluation.scores import Key, Kind

Arrays = Mapping[str, np.ndarray]

# From B cases and a context size to their episodes `[B, ...]`; a context with fewer members is whole.
MakeEpisodes = Callable[[Sequence[Case], int], Arrays]

# Seconds between updates of the progress if stderr is no terminal.
_EVERY = 10.0


@dataclass(frozen=True)
class _Job:
    """Cases (their places in a part) that a model is to predict at a context size; 0 for a baseline."""

    model: Predictor
    size: int
    rows: list[int]


def evaluate(
    models: Sequence[Predictor],
    cases: Sequence[Case],
    make_episodes: MakeEpisodes,
    table: ScoresTable,
    *,
    experiment: str,
    examples: Path,
    extent: float = 192,
) -> int:
    """Scores all models on all cases, and adds to the table what it lacks.

    Which cases are predicted together depends on the list of cases alone, so an evaluation that was interrupted and
    continues gives the same scores, bit for bit.

    Args:
        models: each with another name, number of training subjects or training.
        cases: each model predicts them at `Predictor.sizes`.
        make_episodes: gives the episodes of some cases; runs in another thread.
        table: an open table.
        experiment: its name in the table.
        examples: folder for the predictions of the first case of each task, dataset, and class or modality; not those
            of untrained baselines.
        extent: field of view of an image, mm.

    Returns:
        The number of predictions.

    Raises:
        InputError: if a prediction is not finite, or a file cannot be written.
    """
    shown = example_cases(cases)
    parts = [cases[start : start + MOST_TOGETHER] for start in range(0, len(cases), MOST_TOGETHER)]
    work = [(part, jobs) for part in parts if (jobs := _jobs(models, part, table, experiment))]
    total = sum(len(job.rows) for _, jobs in work for job in jobs)

    def made(part: Sequence[Case], jobs: Sequence[_Job]) -> Arrays:
        return make_episodes(part, max([job.size for job in jobs] + [shown.get(case, 0) for case in part]))

    interval = 0.1 if sys.stderr.isatty() else _EVERY
    with tqdm(total=total, unit="prediction", mininterval=interval, dynamic_ncols=True, disable=not total) as progress:
        for (part, jobs), episodes in zip(work, _made_ahead(made, work), strict=True):
            for job in jobs:
                predictions = job.model.predict(_with_context(episodes, job.rows, job.size))
                for row, prediction in zip(job.rows, predictions, strict=True):
                    case, model = part[row], job.model
                    if not np.isfinite(prediction).all():
                        raise InputError(f"{model.name}: the prediction of {case} is not finite, expected numbers")
                    # The example comes before the scores: once they are in the table, this case counts as done.
                    is_kept = model.kind != Kind.UNTRAINED and model.training == 0
                    if is_kept and case in shown and job.size in (0, shown[case]):
                        episode = _with_context(episodes, row, shown[case])
                        whose = model.name, model.train_subjects
                        add_prediction(examples, experiment, case, episode, whose, prediction)
                    truth = episodes["target_out"][row, ..., 0]
                    scores = case_scores(prediction, truth, case.is_segmentation, extent)
                    table.append((*_key(experiment, job, case, metric), score) for metric, score in scores.items())
                progress.update(len(job.rows))
    return total


def _key(experiment: str, job: _Job, case: Case, metric: str) -> Key:
    """What identifies a score in the table, the values of `scores.KEYS`."""
    return experiment, *job.model.columns, job.size, *case.columns, metric


def _jobs(models: Sequence[Predictor], part: Sequence[Case], table: ScoresTable, experiment: str) -> list[_Job]:
    """What is left to do for some cases: at each context size all of them, or none, see `evaluate`."""

    def done(job: _Job) -> bool:
        return all(
            _key(experiment, job, part[row], metric) in table.known
            for row in job.rows
            for metric in (SEGMENTATION_METRICS if part[row].is_segmentation else IMAGE_METRICS)
        )

    jobs = [
        _Job(model, size, [row for row, case in enumerate(part) if size in model.sizes(case)])
        for model in models
        for size in sorted({size for case in part for size in model.sizes(case)})
    ]
    return [job for job in jobs if not done(job)]


def _made_ahead(make: Callable, work: Sequence[tuple]) -> Iterator[Arrays]:
    """The episodes of each part. The next part's are made in another thread while the models predict."""
    with ThreadPoolExecutor(1) as pool:
        following = [pool.submit(make, *part) for part in work[:1]]
        for place in range(len(work)):
            episodes = following.pop().result()
            following = [pool.submit(make, *part) for part in work[place + 1 : place + 2]]
            yield episodes


def _with_context(episodes: Arrays, rows: int | Sequence[int], members: int) -> dict[str, np.ndarray]:
    """One row or several, each with the first members of its context."""
    return {
        name: array[rows, :members] if name.startswith("context_") else array[rows] for name, array in episodes.items()
    }
