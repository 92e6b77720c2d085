"""SIGTERM (a cluster takes the machine back) and SIGINT (Ctrl-C) end a run after its current step."""

import signal
import threading
from types import FrameType
from typing import Any, Self

import jax
import numpy as np
from jax.experimental.multihost_utils import process_allgather

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """A context manager that notes the first of these signals; a second one has its usual effect.

    Example:
        >>> with StopSignals() as signals:
        ...     signals.agreed()
        False
    """

    def __init__(self) -> None:
        """No signal noted yet."""
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Handles the signals; does nothing outside of the main thread, where Python does not allow it."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        """Restores the handlers from before."""
        self._restore()

    def agreed(self) -> bool:
        """Whether any process of the run received a signal. With several processes, they wait for each other."""
        if jax.process_count() == 1:
            return self.received is not None
        return bool(process_allgather(np.array(self.received is not None)).any())

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
