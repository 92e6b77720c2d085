"""One line on stderr that says how far training is: a moving bar in a terminal, plain lines elsewhere."""

import os
import sys
import time
from collections import deque
from collections.abc import Mapping

# The remaining time is estimated from so many writes: long enough to count validations in.
_WRITES = 41

# Share of the newest in the loss that is shown.
_NEWEST = 0.3


class Progress:
    """The progress of a training run. A context manager."""

    def __init__(self, total_steps: int, start_step: int = 0, *, quiet: bool = False):
        """Begins.

        Args:
            total_steps: of the whole run.
            start_step: those done before.
            quiet: show nothing, as all processes but one do.
        """
        self._total, self._step = total_steps, start_step
        self._start = start_step, time.monotonic()
        self._marks = deque(maxlen=_WRITES)
        self._loss = self._validation = self._bar = None
        self._scalars = {}
        self._quiet = quiet
        if not quiet and _has_screen():
            from tqdm import tqdm

            self._bar = tqdm(
                total=total_steps,
                initial=start_step,
                bar_format="|{bar}| {n_fmt}/{total_fmt}{desc}",
                file=sys.stderr,
                dynamic_ncols=True,
                miniters=1,
                mininterval=0.2,
            )

    def __enter__(self) -> "Progress":
        """Itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Leaves the line as it is."""
        if self._bar is not None:
            self._bar.close()

    def advance(self, step: int) -> None:
        """Moves the bar to a step; cheap enough for every one of them."""
        self._step = step
        if self._bar is not None:
            self._bar.update(step - self._bar.n)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Shows what was measured since the last time: `train/loss`, `train/images_per_second`, `train/data_wait`."""
        loss = scalars["train/loss"]
        self._loss = loss if self._loss is None else _NEWEST * loss + (1 - _NEWEST) * self._loss
        self._scalars = scalars
        self._marks.append((step, time.monotonic()))
        self.advance(step)
        self._show()

    def validated(self, step: int, loss: float, *, best: bool) -> None:
        """Shows a validation's loss, with a star where it is the lowest so far."""
        self._validation = f"val {loss:.4f}{'*' if best else ' '}"
        self.advance(step)
        self._show()

    def message(self, text: str) -> None:
        """Prints a line above the bar."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        elif not self._quiet:
            print(text, file=sys.stderr, flush=True)

    def _show(self) -> None:
        # Short enough for 80 columns; a narrower terminal cuts off the end.
        parts = []
        if self._loss is not None:
            parts += [f"ETA {_as_time(self._seconds_left())}", f"loss {self._loss:.4f}"]
        if self._validation:
            parts.append(self._validation)
        if self._loss is not None:
            speed, wait = self._scalars["train/images_per_second"], self._scalars["train/data_wait"]
            parts += [f"{speed:.{0 if speed >= 10 else 1}f} img/s", f"data {100 * wait:.0f} %"]
        text = "".join(f"  {part}" for part in parts)
        if self._bar is not None:
            self._bar.set_description_str(text)
        else:
            self.message(f"step {self._step}/{self._total}{text}")

    def _seconds_left(self) -> float:
        # The first steps are left out as soon as may be: they compile the programs.
        step, then = self._marks[0] if len(self._marks) > 1 else self._start
        last_step, last = self._marks[-1]
        return (self._total - last_step) * (last - then) / max(last_step - step, 1)


def _has_screen() -> bool:
    # A terminal without a size, as containers have them, has no place for a bar.
    return sys.stderr.isatty() and all(os.get_terminal_size(sys.stderr.fileno()))


def _as_time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}m{seconds:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"
