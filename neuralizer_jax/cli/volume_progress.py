"""The progress of a prediction of whole scans, as a bar on stderr."""

import sys
from collections.abc import Callable

from neuralizer_jax.errors import one_line

Progress = Callable[[str, int, int], object]


class Stages:
    """A bar on stderr: which stage of which scan, how far, how long; nothing where stderr is no terminal."""

    def __init__(self, listener: Progress | None = None) -> None:
        """`listener` is told of every step too."""
        from tqdm import tqdm

        form = "{desc} |{bar}| {n_fmt}/{total_fmt} [{elapsed}, {remaining} left]"
        self._bar = tqdm(total=1, bar_format=form, disable=None, dynamic_ncols=True, leave=False)
        self._stage, self._listener = "", listener

    def of(self, title: str) -> Progress:
        """What shows the progress of a scan."""

        def progress(stage: str, done: int, of: int) -> None:
            text = f"{one_line(title)}: {stage}"
            if text != self._stage:
                self._stage = text
                self._bar.set_description_str(text, refresh=False)
                self._bar.reset(total=of)
            self._bar.update(done - self._bar.n)
            if self._listener is not None:
                self._listener(stage, done, of)

        return progress

    def line(self, text: str, *, error: bool = False) -> None:
        """Prints a line above the bar."""
        self._bar.write(text, file=sys.stderr if error else sys.stdout)

    def __enter__(self) -> "Stages":  # noqa: D105
        return self

    def __exit__(self, *exception: object) -> None:  # noqa: D105
        self._bar.close()
