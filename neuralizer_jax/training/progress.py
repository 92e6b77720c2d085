"""The progress of a run on stderr: a moving bar in a terminal, plain lines elsewhere."""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TextIO

from tqdm import tqdm

# The remaining time is estimated from this many writes: enough to include validations.
_WRITES = 41

# Weight of the newest loss in the moving average that is shown.
_NEWEST = 0.3


class Progress(AbstractContextManager["Progress"]):
    """The progress of a training run. A context manager.

    Example:
        >>> with Progress(100, stream=sys.stdout) as progress:
        ...     progress.message("starts")
        ...     progress.validated(50, 0.25, best=True)
        starts
        step 50/100  val 0.2500*
    """

    def __init__(
        self,
        total_steps: int,
        start_step: int = 0,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Starts at `start_step`.

        Args:
            total_steps: of the run.
            start_step: number of steps done before.
            stream: to write to; None: stderr.
            clock: returns seconds.
        """
        self._total, self._step = total_steps, start_step
        self._stream, self._clock = stream or sys.stderr, clock
        self._start = start_step, clock()
        self._marks: deque[tuple[int, float]] = deque(maxlen=_WRITES)
        self._loss: float | None = None
        self._scalars: Mapping[str, float] = {}
        self._validation = ""
        self._bar = None
        # A terminal of size 0, as containers have them, has no space for a bar.
        if self._stream.isatty() and all(os.get_terminal_size(self._stream.fileno())):
            self._bar = tqdm(
                total=total_steps,
                initial=start_step,
                bar_format="|{bar}| {n_fmt}/{total_fmt}{desc}",
                file=self._stream,
                dynamic_ncols=True,
                miniters=1,
                mininterval=0.2,
            )

    def __exit__(self, *exception: object) -> None:
        """Leaves the bar as it is."""
        if self._bar is not None:
            self._bar.close()

    def advance(self, step: int) -> None:
        """Moves the bar to a step; cheap enough for every step."""
        self._step = step
        if self._bar is not None:
            self._bar.update(step - self._bar.n)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Shows the newest `train/loss`, `train/images_per_second` and `train/data_wait`."""
        loss = scalars["train/loss"]
        self._loss = loss if self._loss is None else _NEWEST * loss + (1 - _NEWEST) * self._loss
        self._scalars = scalars
        self._marks.append((step, self._clock()))
        self.advance(step)
        self._show()

    def validated(self, step: int, loss: float, *, best: bool) -> None:
        """Shows the loss of a validation, with a star if it is the lowest so far."""
        self._validation = f"val {loss:.4f}{'*' if best else ' '}"
        self.advance(step)
        self._show()

    def message(self, text: str) -> None:
        """Prints a line above the bar."""
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)

    def _show(self) -> None:
        # Fits into 80 columns; a narrower terminal cuts off the end.
        parts = [self._validation] if self._validation else []
        if self._loss is not None:
            speed, wait = self._scalars["train/images_per_second"], self._scalars["train/data_wait"]
            parts = [f"ETA {_as_time(self._seconds_left())}", f"loss {self._loss:.4f}", *parts]
            parts += [f"{speed:.{0 if speed >= 10 else 1}f} img/s", f"data {100 * wait:.0f} %"]
        text = "".join(f"  {part}" for part in parts)
        if self._bar is not None:
            self._bar.set_description_str(text)
        else:
            self.message(f"step {self._step}/{self._total}{text}")

    def _seconds_left(self) -> float:
        # The steps before the first mark compile the programs: they count only while nothing else is known.
        step, then = self._marks[0] if len(self._marks) > 1 else self._start
        last_step, last = self._marks[-1]
        return (self._total - last_step) * (last - then) / max(last_step - step, 1)


def _as_time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}m{seconds:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"
