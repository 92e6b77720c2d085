"""The training loop: episodes in; checkpoints, logs and the best weights out, in the folder of the run.

The process can be killed at any moment: the next call with the same folder goes on from the last checkpoint and ends
with the same parameters as an undisturbed run.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from neuralizer_jax.errors import InputError
from neuralizer_jax.hardware import device_names
from neuralizer_jax.training.checkpoints import Checkpoints
from neuralizer_jax.training.early_stopping import EarlyStopping
from neuralizer_jax.training.logging import RunLog, image_count
from neuralizer_jax.training.optimizer import learning_rate
from neuralizer_jax.training.parallel import CompiledSteps, Finish, HostArrays, compile_steps
from neuralizer_jax.training.state import TrainState, create_state
from neuralizer_jax.training.stop_signals import StopSignals
from neuralizer_jax.training.validation import validate
from neuralizer_jax.weights import save_weights
from neuralizer_jax.weights.architecture import describe


@dataclass(frozen=True)
class Episodes:
    """Where the episodes of a run come from.

    Attributes:
        tasks: task names; `task` of an episode indexes them.
        batches: returns an endless iterator over the batches from a step on: the rows of this process, as episodes or
            as what `finish` turns into episodes.
        validation: returns an iterator over the fixed list of validation episodes, the same in every process.
        finish: turns a batch into episodes on the device; None: batches are episodes.
        stored: arrays that `finish` needs beside each batch; they are placed on the devices once.
        planes: names that `plane` of an episode indexes, where it has one.
    """

    tasks: Sequence[str]
    batches: Callable[[int], Generator[HostArrays, None, None]]
    validation: Callable[[], Iterator[HostArrays]]
    finish: Finish | None = None
    stored: Mapping[str, np.ndarray] = field(default_factory=dict)
    planes: Sequence[str] = ()


def train(config: ConfigDict, folder: Path, episodes: Episodes) -> dict[str, Any]:
    """Trains until the last step, until validation no longer improves, or until a signal asks to stop.

    Args:
        config: of the experiment; `seed`, `model`, `train`, `validation`, `checkpoint`, `log` and `parallel` are read.
        folder: of the run (`work_folder`); gets `checkpoints/`, `metrics.csv`, `tensorboard/`, `pictures/`,
            `best.safetensors`, and at the end `summary.json` and `curves.png`.
        episodes: where the episodes come from.

    Returns:
        The summary: `ended` (`steps`, `early stopping` or the signal's name), `step`, `best_step`, `best_loss`, ...

    Raises:
        InputError: impossible settings, or a loss or gradient that is not finite; the state before that step is saved.
    """
    for key, least in (("validation.every", 0), ("checkpoint.every", 1), ("log.every", 1), ("validation.patience", 1)):
        section, name = key.split(".")
        if config[section][name] < least:
            raise InputError(f"{key}: {config[section][name]}, expected {least} or more")
    steps = compile_steps(config.parallel, episodes.finish, episodes.stored)
    fresh = create_state(config, jax.random.key(config.seed))
    began = time.perf_counter()
    with ExitStack() as stack:
        checkpoints = stack.enter_context(Checkpoints(folder / "checkpoints", config.checkpoint.keep))
        restored = checkpoints.restore(fresh)
        start = restored.step if restored else 0
        so_far = restored.meta["early_stopping"] if restored else {}
        stopping = EarlyStopping(**so_far | {"patience": config.validation.patience})
        schedule = learning_rate(config.train)
        log = RunLog(folder, episodes.tasks, schedule, config.train.steps, start, config.log.every)
        stack.enter_context(log)
        if restored:
            log.message(f"{folder}: going on from step {start}")
        # A failed run may try again: the cause may be gone.
        state = steps.put_state(restored.state.replace(failed=np.zeros((), bool)) if restored else fresh)
        meta = restored.meta if restored else {}
        seconds_before = meta.get("seconds", 0.0)  # of the run, up to this checkpoint
        spent = meta.get("devices", {})
        run = _Run(config, folder, episodes, steps, checkpoints, log, stopping, began - seconds_before, spent)
        ended, step = run.go(state, start, stack.enter_context(StopSignals()))
        summary = {
            "ended": ended,
            "step": step,
            "best_step": stopping.best_step,
            "best_loss": stopping.best_loss,
            "parameters": sum(x.size for x in jax.tree.leaves(fresh.params)),
            "seconds": run.seconds() if step > start else seconds_before,
            "devices": run.devices() if step > start else spent,
            "versions": {name: version(name) for name in ("neuralizer-jax", "jax", "flax", "optax")},
        }
        log.finish(summary)
    return summary


@dataclass
class _Run:
    """The loop and its parts.

    Attributes:
        began: when the run would have begun had it never been interrupted.
        spent: seconds on each kind of device, before this process.
    """

    config: ConfigDict
    folder: Path
    episodes: Episodes
    steps: CompiledSteps
    checkpoints: Checkpoints
    log: RunLog
    stopping: EarlyStopping
    began: float
    spent: dict[str, float]

    def seconds(self) -> float:
        """Duration of the run, without the time between an interrupted process and the next."""
        return time.perf_counter() - self.began

    def devices(self) -> dict[str, float]:
        """Seconds of the run on each kind of device."""
        own = device_names()
        now = self.seconds() - sum(self.spent.values())
        return self.spent | {own: self.spent.get(own, 0.0) + now}

    def go(self, state: TrainState, step: int, signals: StopSignals) -> tuple[str, int]:
        """Trains on from a step. Returns why and after which step the run ended."""
        config, started = self.config, None
        with closing(self.episodes.batches(step)) as batches:
            while not (ended := self._ended(step, signals)):
                asked = time.perf_counter()
                batch = next(batches)
                waited = time.perf_counter() - asked
                state, metrics = self.steps.train(state, self.steps.put_batch(batch))
                # The previous step is logged while the devices compute this one.
                self._finish(started, state)
                step += 1
                started = step, metrics, image_count(batch), waited
                every = config.validation.every
                validating = every > 0 and (step % every == 0 or step == config.train.steps)
                if validating or step % config.checkpoint.every == 0:
                    self._finish(started, state)
                    started = None
                    self._save(step, state, self._validate(step, state) if validating else None)
            self._finish(started, state)
            self._save(step, state)
        return ended, step

    def _ended(self, step: int, signals: StopSignals) -> str | None:
        if step >= self.config.train.steps:
            return "steps"
        if self.stopping.stopped:
            return "early stopping"
        # Processes wait for each other to agree on the step: not at every step.
        if (jax.process_count() == 1 or step % self.config.log.every == 0) and signals.agreed():
            return signals.received.name if signals.received else "signal"
        return None

    def _finish(self, started: tuple[int, Any, int, float] | None, state: TrainState) -> None:
        """Waits for a step that was started and logs it. Raises InputError if it failed."""
        if started is None:
            return
        step, metrics, images, waited = started
        metrics = self.steps.to_host(metrics)
        if metrics["failed"]:
            # A failed step leaves the state as it was.
            self._save(step - 1, state)
            bad = metrics["task"][~np.isfinite(metrics["losses"])]
            tasks = ", ".join(sorted({self.episodes.tasks[task] for task in (bad if len(bad) else metrics["task"])}))
            what = "loss" if len(bad) else "gradient"
            raise InputError(
                f"{self.folder}: the {what} of step {step} is not finite (tasks {tasks}), expected numbers; the state "
                "before it is saved"
            )
        self.log.step(step, metrics, images, waited)

    def _validate(self, step: int, state: TrainState) -> float:
        """Returns the validation loss; exports the weights if it is the lowest."""
        began = time.perf_counter()
        scores, rows = validate(
            self.steps, state, self.episodes.validation(), self.episodes.tasks, self.episodes.planes
        )
        loss = scores["validation/loss"]
        best = self.stopping.add(step, loss)
        if best and jax.process_index() == 0:
            save_weights(self.folder / "best.safetensors", state.model, self.steps.to_host(state).evaluated_params)
        self.log.validated(step, scores, rows, best=best, seconds=time.perf_counter() - began)
        return loss

    def _save(self, step: int, state: TrainState, validation_loss: float | None = None) -> None:
        meta = {
            "model": describe(state.model),
            "config": self.config.to_dict(),
            "early_stopping": asdict(self.stopping),
            "seconds": self.seconds(),
            "devices": self.devices(),
        }
        self.checkpoints.save(step, self.steps.to_host(state), meta, validation_loss)
