"""What a person sees of a run: progress, `metrics.csv`, TensorBoard, validation pictures. The first process logs."""

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.training.curves import draw_curves
from neuralizer_jax.training.metrics_log import METRICS_FILE, MetricsLog, mean_losses
from neuralizer_jax.training.parallel import HostArrays
from neuralizer_jax.training.pictures import PictureRow, draw_validation
from neuralizer_jax.training.progress import Progress


class RunLog(ExitStack):
    """Logs a run. A context manager, which closes the files. In all processes but the first it does nothing."""

    def __init__(
        self,
        folder: Path,
        tasks: Sequence[str],
        schedule: optax.Schedule,
        total_steps: int,
        start_step: int,
        every: int,
    ):
        """Starts a log, or goes on with it.

        Args:
            folder: of the run.
            tasks: task names; `task` of an episode indexes them.
            schedule: of the learning rate.
            total_steps: of the run, at most.
            start_step: step of the checkpoint that training goes on from.
            every: number of steps between two rows of scalars.
        """
        super().__init__()
        self._folder, self._tasks, self._schedule, self._every = folder, tasks, schedule, every
        self._first = jax.process_index() == 0
        if self._first:
            self._metrics = self.enter_context(MetricsLog(folder, start_step))
            self._progress = self.enter_context(Progress(total_steps, start_step))
        self._restart_clock()

    def step(self, step: int, metrics: HostArrays, images: int, waited: float) -> None:
        """Logs a finished training step.

        Args:
            step: number of steps done.
            metrics: of `CompiledSteps.to_host`.
            images: in the batch, targets and contexts of all rows.
            waited: seconds that training waited for the batch.
        """
        if not self._first:
            return
        self._losses.append((metrics["task"], metrics["losses"]))
        self._images += images
        self._waited += waited
        self._progress.advance(step)
        if step % self._every == 0:
            seconds = time.perf_counter() - self._since
            task, losses = (np.concatenate(column) for column in zip(*self._losses, strict=True))
            scalars = mean_losses("train", task, losses, self._tasks) | {
                "train/gradient_norm": float(metrics["gradient_norm"]),
                "train/learning_rate": float(self._schedule(step - 1)),
                "train/images_per_second": self._images / seconds,
                "train/data_wait": self._waited / seconds,
            }
            self._metrics.write(step, scalars)
            self._progress.write(step, scalars)
            self._restart_clock()

    def validated(
        self, step: int, scores: dict[str, float], rows: dict[str, PictureRow], *, best: bool, seconds: float
    ) -> None:
        """Logs a validation that took `seconds`; they do not count as training time."""
        self._since += seconds
        if not self._first:
            return
        self._metrics.write(step, scores | {"validation/seconds": seconds})
        (self._folder / "pictures").mkdir(exist_ok=True)
        picture = draw_validation(self._folder / "pictures" / f"step_{step:08d}.png", rows.values())
        self._metrics.image(step, "validation", picture)
        self._progress.validated(step, scores["validation/loss"], best=best)

    def message(self, text: str) -> None:
        """Prints a line."""
        if self._first:
            self._progress.message(text)

    def finish(self, summary: dict[str, Any]) -> None:
        """Writes `summary.json` and `curves.png`."""
        if self._first:
            with written_whole(self._folder / "summary.json") as temporary:
                temporary.write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            draw_curves(self._folder / METRICS_FILE, self._folder / "curves.png")

    def _restart_clock(self) -> None:
        self._since, self._images, self._waited = time.perf_counter(), 0, 0.0
        self._losses: list[tuple[np.ndarray, np.ndarray]] = []


def image_count(batch: HostArrays) -> int:
    """Number of images in a batch over all processes, without padding.

    Example:
        >>> image_count({"task": np.zeros(2), "context_mask": np.array([[True, True, False], [True, False, False]])})
        5
    """
    own = len(batch["task"]) + int(np.sum(batch["context_mask"]))
    return own * jax.process_count()
