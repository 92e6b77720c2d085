"""What a person sees of a run: progress line, `metrics.csv`, TensorBoard, validation pictures. One process reports."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
import optax

from neuralizer_jax.training.curves import draw_curves
from neuralizer_jax.training.parallel import HostArrays
from neuralizer_jax.training.pictures import PictureRow, draw_validation
from neuralizer_jax.training.progress import Progress
from neuralizer_jax.training.metrics_log import METRICS_FILE, Record, TaskLosses, write_summary
from neuralizer_jax.training.validation_scores import Scores


class Report:
    """Reports on a run. A context manager. In all processes but the first it does nothing."""

    def __init__(
        self,
        folder: Path,
        tasks: Sequence[str],
        schedule: optax.Schedule,
        total_steps: int,
        start_step: int,
        every: int,
    ):
        """Begins, or goes on.

        Args:
            folder: of the run.
            tasks: names that `task` of an episode counts into.
            schedule: of the learning rate.
            total_steps: at most.
            start_step: of the checkpoint that training goes on from.
            every: so many steps scalars are written.
        """
        self._folder, self._schedule, self._every = folder, schedule, every
        self._total, self._start = total_steps, start_step
        self._losses = TaskLosses(tasks)
        self._mine = jax.process_index() == 0
        self._restart_clock()

    def __enter__(self) -> Self:
        """Opens the record."""
        with ExitStack() as stack:
            if self._mine:
                self._record = stack.enter_context(Record(self._folder, self._start))
            self._progress = stack.enter_context(Progress(self._total, self._start, quiet=not self._mine))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes it."""
        self._stack.close()

    def step(self, step: int, metrics: HostArrays, images: int, waited: float) -> None:
        """Takes up a step that is done.

        Args:
            step: steps done.
            metrics: of `CompiledSteps.host_metrics`.
            images: in the batch, target and context of all rows.
            waited: seconds for data.
        """
        if not self._mine:
            return
        self._losses.add(metrics["task"], metrics["losses"])
        self._images += images
        self._waited += waited
        self._progress.advance(step)
        if step % self._every == 0:
            seconds = time.perf_counter() - self._since
            scalars = self._losses.means() | {
                "train/gradient_norm": float(metrics["gradient_norm"]),
                "train/learning_rate": float(self._schedule(step - 1)),
                "train/images_per_second": self._images / seconds,
                "train/data_wait": self._waited / seconds,
            }
            self._record.write(step, scalars)
            self._progress.write(step, scalars)
            self._restart_clock()

    def validated(self, step: int, scores: Scores, rows: dict[str, PictureRow], *, best: bool, seconds: float) -> None:
        """Takes up a validation that took so many seconds."""
        self._since += seconds
        if not self._mine:
            return
        self._record.write(step, scores.rows() | {"validation/seconds": seconds})
        (self._folder / "pictures").mkdir(exist_ok=True)
        picture = draw_validation(self._folder / "pictures" / f"step_{step:08d}.png", rows.values())
        self._record.image(step, "validation", picture)
        self._progress.validated(step, scores.loss, best=best)

    def message(self, text: str) -> None:
        """Prints a line."""
        self._progress.message(text)

    def finish(self, summary: dict[str, Any]) -> None:
        """Writes `summary.json` and `curves.png`."""
        if self._mine:
            write_summary(self._folder, summary)
            draw_curves(self._folder / METRICS_FILE, self._folder / "curves.png")

    def _restart_clock(self) -> None:
        self._since, self._images, self._waited = time.perf_counter(), 0, 0.0


def image_count(batch: HostArrays) -> int:
    """Images of a batch of all processes, padding not counted."""
    own = len(batch["task"]) + int(np.sum(batch["context_mask"]))
    return own * jax.process_count()
