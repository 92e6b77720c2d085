"""Being asked to stop: SIGTERM (a machine is taken back) and SIGINT (Ctrl-C) end a run after its current step."""

import signal
import threading
from types import FrameType
from typing import Self

import jax
import numpy as np

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Notes the signals instead of dying of them, while its block lasts. A second one has its usual effect."""

    def __init__(self):
        """Nothing noted yet."""
        self.received: signal.Signals | None = None
        self._before = {}

    def __enter__(self) -> Self:
        """Takes the signals, in the main thread; in another one Python allows it to nobody."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        """Gives them back."""
        self._give_back()

    def agreed(self) -> bool:
        """Whether a process of the run was asked to stop: the same answer in all of them, which wait for each other."""
        if jax.process_count() == 1:
            return self.received is not None
        from jax.experimental.multihost_utils import process_allgather

        return bool(process_allgather(np.array(self.received is not None)).any())

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._give_back()

    def _give_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
