"""Models on test cases: the same episodes for all, their scores in a table, some of them kept to be looked at."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuralizer_jax.case import Case
from neuralizer_jax.errors import InputError
from neuralizer_jax.evaluation.case_scores import IMAGE_METRICS, SEGMENTATION_METRICS, case_scores
from neuralizer_jax.evaluation.examples import add_prediction, example_cases
from neuralizer_jax.evaluation.predictor import MOST_TOGETHER, Predictor
from neuralizer_jax.evaluation.score_log import ScoresTable

Arrays = Mapping[str, np.ndarray]

# Makes the episodes of some cases `[B, ...]`, with the first so many members of each one's context, or all it has.
MakeEpisodes = Callable[[Sequence[Case], int], Arrays]

# Seconds between lines where there is no bar.
_EVERY = 30


@dataclass(frozen=True)
class _Job:
    """Some cases of a part that a model is to predict with a context of `members`; `n` as in the table."""

    model: Predictor
    members: int
    n: int
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
    """Adds to the table what it lacks of the scores of all models on all cases.

    Which cases are predicted together depends on the list of cases alone, so that an evaluation that is interrupted and
    goes on gives the same scores, bit for bit.

    Args:
        models: with names that differ, or for those without a context their training subjects or training.
        cases: see `Case`; each model predicts them at its `Predictor.sizes`.
        make_episodes: the episodes of some cases; called in another thread.
        table: open.
        experiment: name in the table.
        examples: folder; gets the predictions for the first case of each task, dataset and modality, of models that are
            shown there.
        extent: what an image shows along both axes, mm.

    Returns:
        How many predictions were made.

    Raises:
        InputError: where a prediction is not finite, or a file cannot be written.
    """
    shown = example_cases(cases)
    parts = [cases[start : start + MOST_TOGETHER] for start in range(0, len(cases), MOST_TOGETHER)]
    work = [(part, jobs) for part in parts if (jobs := _jobs(models, part, table, experiment))]
    total = sum(len(job.rows) for _, jobs in work for job in jobs)

    def made(part: Sequence[Case], jobs: Sequence[_Job]) -> Arrays:
        return make_episodes(part, max([job.members for job in jobs] + [shown.get(case, 0) for case in part]))

    with _Progress(total) as progress:
        for (part, jobs), episodes in zip(work, _made_ahead(made, work), strict=True):
            for job in jobs:
                predictions = job.model.predict(_with_members(episodes, job.rows, job.members))
                for row, prediction in zip(job.rows, predictions, strict=True):
                    case = part[row]
                    if not np.isfinite(prediction).all():
                        raise InputError(f"{job.model.name}: the prediction of {case} is not finite, expected numbers")
                    # Before the scores, which say that nothing is left to be done here.
                    is_kept = job.model.in_examples and job.model.training == 0
                    if is_kept and case in shown and job.members in (0, shown[case]):
                        episode = _one(episodes, row, shown[case])
                        name = job.model.name if job.model.has_context else f"{job.model.name}@{job.n}"
                        add_prediction(examples, experiment, case, episode, name, prediction)
                    truth = episodes["target_out"][row, ..., 0]
                    scores = case_scores(prediction, truth, case.is_segmentation, extent)
                    draw = job.model.draw(case.draw)
                    table.append(
                        (*case.key(experiment, job.model.name, job.n, draw, metric), score)
                        for metric, score in scores.items()
                    )
                progress.advance(len(job.rows))
    return total


def _jobs(models: Sequence[Predictor], part: Sequence[Case], table: ScoresTable, experiment: str) -> list[_Job]:
    """What is left to be done with some cases. All rows of a context size, or none: see `evaluate`."""

    def done(model: Predictor, case: Case, n: int) -> bool:
        metrics = SEGMENTATION_METRICS if case.is_segmentation else IMAGE_METRICS
        draw = model.draw(case.draw)
        return all(case.key(experiment, model.name, n, draw, metric) in table.known for metric in metrics)

    jobs = []
    for model in models:
        for size in sorted({size for case in part for size in model.sizes(case)}):
            rows = [row for row, case in enumerate(part) if size in model.sizes(case)]
            n = size if model.has_context else model.subjects
            if not all(done(model, part[row], n) for row in rows):
                jobs.append(_Job(model, size, n, rows))
    return jobs


def _made_ahead(make: Callable, work: Sequence[tuple]) -> Iterator[Arrays]:
    """The episodes of each part, the next one's made in another thread while models predict."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(make, *work[0]) if work else None
        for part in [*work[1:], None]:
            if following is not None:
                episodes = following.result()
                following = None if part is None else pool.submit(make, *part)
                yield episodes


def _with_members(episodes: Arrays, rows: Sequence[int], members: int) -> dict[str, np.ndarray]:
    """Some rows, with the first members of their contexts."""
    of_context = ("context_in", "context_out", "context_mask")
    return {name: array[rows, :members] if name in of_context else array[rows] for name, array in episodes.items()}


def _one(episodes: Arrays, row: int, members: int) -> dict[str, np.ndarray]:
    """An episode of a batch, outputs without their axis of channels."""
    context = {name: episodes[name][row, :members] for name in ("context_in", "context_out")}
    return {
        "target_in": episodes["target_in"][row],
        "target_out": episodes["target_out"][row, ..., 0],
        "context_in": context["context_in"],
        "context_out": context["context_out"][..., 0],
    }


class _Progress:
    """How far it is: a bar in a terminal, now and then a line elsewhere. On stderr."""

    def __init__(self, total: int):
        from tqdm import tqdm

        self._is_bar = sys.stderr.isatty()
        self._bar = tqdm(total=total, unit="prediction", disable=not self._is_bar, dynamic_ncols=True)
        self._total, self._done, self._told = total, 0, time.monotonic()

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()

    def advance(self, count: int) -> None:
        self._bar.update(count)
        self._done += count
        now = time.monotonic()
        if not self._is_bar and (now - self._told > _EVERY or self._done == self._total):
            print(f"{self._done}/{self._total} predictions", file=sys.stderr, flush=True)
            self._told = now
