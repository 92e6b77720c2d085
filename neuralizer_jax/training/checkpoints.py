"""Checkpoints of a training run: written in the background, checked when read, kept by age and validation loss.

They are in a folder of Orbax's `CheckpointManager`: one subfolder a step, in the format of `weights.checkpoint_format`.
"""

import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from neuralizer_jax.errors import InputError
from neuralizer_jax.weights.checkpoint_format import fill, item_handlers, pack, read_checkpoint, read_loss


@dataclass(frozen=True)
class Restored:
    """A restored checkpoint.

    Attributes:
        step: number of training steps done.
        state: of the structure of `like`, with NumPy arrays as leaves, for any number of devices.
        meta: as saved, after a round trip through JSON.
    """

    step: int
    state: Any
    meta: dict[str, Any]


class Checkpoints(AbstractContextManager["Checkpoints"]):
    """The checkpoints in a folder. A context manager: without `close`, the checkpoint being written is lost.

    A folder belongs to one run. Several processes of one run (`jax.distributed`) share it: all call the same methods
    with the same values, and the first one writes.

    Example:
        >>> import numpy as np
        >>> state = {"weights": np.ones(3)}
        >>> with Checkpoints("checkpoints", keep=2) as checkpoints:
        ...     checkpoints.save(10, state, {"note": "first"}, validation_loss=0.5)
        ...     restored = checkpoints.restore(like=state)
        >>> restored.step, restored.state, restored.meta
        (10, {'weights': array([1., 1., 1.])}, {'note': 'first'})
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        keep: int,
        report: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
    ):
        """Opens a folder, created if needed.

        Args:
            folder: of the checkpoints, and of nothing else.
            keep: number of newest checkpoints to keep, at least 1; the one with the lowest validation loss is kept too.
            report: called with one line about each damaged checkpoint.

        Raises:
            InputError: `keep` is below 1, or the folder cannot be created.
        """
        if keep < 1:
            raise InputError(f"checkpoint.keep: {keep}, expected at least 1")
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: cannot be made ({error.strerror}), expected a folder") from None
        self._folder = Path(folder).absolute()
        self._report = report
        self._retention = _LastAndBest(keep)
        self._manager = self._open()
        self._retention.losses = {step: read_loss(self._folder / str(step)) for step in self._manager.all_steps()}

    def save(self, step: int, state: Any, meta: dict[str, Any], validation_loss: float | None = None) -> None:
        """Starts to write a checkpoint; waits only if the previous one is still being written.

        An existing step is not written again: a step of a run has only one state. So validate a step before you save
        it.

        Args:
            step: number of training steps done.
            state: a tree of arrays and numbers, none of them empty, such as a `TrainState`; arrays on several devices
                are replicated. It may be changed or donated as soon as this returns.
            meta: JSON values; `model` is the model's description (`weights.architecture.describe`), which
                `load_weights` needs to read the folder.
            validation_loss: of this state; None or NaN: unknown, never the best.

        Raises:
            InputError: this or the previous checkpoint cannot be written, for example because the disk is full.
            ValueError: there is a later step: `restore` was not called.
        """
        if step in self._manager.all_steps():
            return
        if validation_loss is not None and not math.isfinite(validation_loss):
            validation_loss = None
        items = pack(step, state, meta, validation_loss)
        self._retention.losses[step] = validation_loss
        with self._writing():
            saved = self._manager.save(step, args=items)
        if not saved:
            raise ValueError(f"{self._folder}: step {step} comes before {self._manager.latest_step()}, which is there")

    def restore(self, like: Any) -> Restored | None:
        """Reads the newest intact checkpoint; None if there are no checkpoints.

        Newer, damaged ones are reported and renamed to `damaged_STEP`, so that their steps can be saved again.

        Args:
            like: a state with the expected structure, shapes and types; its values are not used.

        Raises:
            InputError: all checkpoints are damaged (they stay as they are), or the structure differs from `like`.
        """
        self.wait()
        damaged = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                arrays, meta = read_checkpoint(self._folder / str(step), step)
            except Exception as error:  # TensorStore documents no common base of what it raises
                damaged[step] = _one_line(error)
                continue
            state = fill(like, arrays, self._folder / str(step))
            if damaged:
                self._set_aside(damaged, step)
            return Restored(step, state, meta)
        if damaged:
            step, reason = next(iter(damaged.items()))
            raise InputError(
                f"{self._folder}: none of {len(damaged)} checkpoints is intact, expected at least one "
                f"(step {step}: {reason})"
            )
        return None

    def wait(self) -> None:
        """Waits until everything is written. Raises InputError if that fails."""
        with self._writing():
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits, and ends the writing threads. Raises InputError if a checkpoint cannot be written."""
        try:
            self.wait()
        finally:
            self._manager.close()

    def __exit__(self, *_: object) -> None:
        """Closes."""
        self.close()

    def _open(self) -> ocp.CheckpointManager:
        options = ocp.CheckpointManagerOptions(
            preservation_policy=self._retention,
            cleanup_tmp_directories=True,  # left by a killed run
            lightweight_initialize=True,  # reads no step, so a damaged one does no harm
        )
        return ocp.CheckpointManager(self._folder, options=options, item_handlers=item_handlers())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:  # TensorStore raises ValueError if the disk is full
            raise InputError(f"{self._folder}: a checkpoint cannot be written ({_one_line(error)})") from None

    def _set_aside(self, damaged: dict[int, str], used: int) -> None:
        self._manager.close()
        if jax.process_index() == 0:
            for step, reason in damaged.items():
                aside = _free_name(self._folder / f"damaged_{step}")
                (self._folder / str(step)).rename(aside)
                self._report(
                    f"{self._folder / str(step)}: damaged checkpoint ({reason}), renamed to {aside.name}; "
                    f"step {used} is used"
                )
        ocp.multihost.sync_global_processes(f"damaged checkpoints before step {used} are renamed")
        # Not `reload`, which reads more than it needs and fails if that is damaged.
        self._manager = self._open()


class _LastAndBest:
    """A preservation policy for Orbax: keeps the newest checkpoints and the one with the lowest validation loss.

    Not Orbax's `BestN`: it reads a metrics file in each checkpoint, and a damaged one keeps the folder from opening.
    """

    def __init__(self, keep: int):
        self._keep = keep
        self.losses: dict[int, float | None] = {}  # by step

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """Orbax calls this after each save with all checkpoints, oldest first."""
        del context
        steps = [checkpoint.step for checkpoint in checkpoints]
        validated = [(loss, step) for step in steps if (loss := self.losses.get(step)) is not None]
        kept = {*steps[-self._keep :], *(step for _, step in sorted(validated)[:1])}
        return [step in kept for step in steps]


def _free_name(path: Path) -> Path:
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}_{number}")
    return free


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:90]} ... {text[-100:]}"
