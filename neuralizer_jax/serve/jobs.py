"""Predictions one after another, in a process of their own: each can be watched and cancelled.

The process stays between predictions, since it has compiled programs by then. To cancel is to end it; files are written
whole or not at all, so nothing is left half done.
"""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from neuralizer_jax.errors import InputError, one_line

WORKER = (sys.executable, "-m", "neuralizer_jax.cli.predict_worker")

State = Literal["waiting", "running", "done", "failed", "cancelled"]

# More wait than anyone means to.
_MOST_WAITING = 100
_MOST_KEPT = 1000
_SECONDS_TO_END = 3


@dataclass
class Job:
    """A prediction.

    Attributes:
        id: names it in the HTTP calls.
        scan: id of the scan.
        task: what is predicted.
        state: waiting, running, done, failed or cancelled.
        stage: what is being done, such as `aligning`.
        done: how many steps of the stage are done.
        of: how many it has; 0: not known yet.
        notes: for the user.
        error: why it failed.
        seconds: how long it ran so far.
    """

    id: int
    scan: str
    task: str
    state: State = "waiting"
    stage: str = ""
    done: int = 0
    of: int = 0
    notes: list[str] = field(default_factory=list)
    error: str = ""
    seconds: float = 0


class Jobs:
    """The queue.

    Example:
        >>> echo = "import sys\\nfor _ in sys.stdin: print('{\\"finished\\": true}', flush=True)"
        >>> jobs = Jobs((sys.executable, "-c", echo))
        >>> job = jobs.add("a1", "segmentation", lambda: ["--target", "scan.nii.gz"])
        >>> jobs.wait()
        >>> job.state
        'done'
        >>> jobs.close()
    """

    def __init__(self, worker: Sequence[str] = WORKER) -> None:  # noqa: D107
        self._command = tuple(worker)
        self._jobs: dict[int, Job] = {}
        self._arguments: dict[int, Callable[[], list[str]]] = {}
        self._changed = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._reading = self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, scan: str, task: str, arguments: Callable[[], list[str]]) -> Job:
        """Adds a prediction; `arguments` gives those of `neuralizer predict` when its turn has come.

        Raises:
            InputError: too many wait already.
        """
        with self._changed:
            if sum(job.state == "waiting" for job in self._jobs.values()) >= _MOST_WAITING:
                raise InputError(f"{_MOST_WAITING} predictions are waiting, expected no more")
            job = Job(max(self._jobs, default=0) + 1, scan, task)
            self._jobs[job.id] = job
            self._arguments[job.id] = arguments
            for old in [x for x in self._jobs.values() if x.state not in ("waiting", "running")][:-_MOST_KEPT]:
                del self._jobs[old.id]
            self._changed.notify_all()
            return job

    def start(self) -> None:
        """Starts the process, which then imports what it needs."""
        with self._changed:
            self._started()

    def all(self) -> list[Job]:
        """All predictions, the first one first."""
        with self._changed:
            return list(self._jobs.values())

    def get(self, number: int) -> Job | None:
        """A prediction by its id."""
        return self._jobs.get(number)

    def cancel(self, job: Job) -> None:
        """Cancels a prediction; one that has ended stays as it is."""
        with self._changed:
            running = job.state == "running"
            if job.state in ("waiting", "running"):
                job.state = "cancelled"
            if running:
                self._end()
            self._changed.notify_all()

    def wait(self) -> None:
        """Waits until nothing waits or runs."""
        with self._changed:
            self._changed.wait_for(
                lambda: not any(job.state in ("waiting", "running") for job in self._jobs.values()) or self._closed
            )

    def close(self) -> None:
        """Cancels everything and ends the process."""
        with self._changed:
            self._closed = True
            for job in self._jobs.values():
                if job.state in ("waiting", "running"):
                    job.state = "cancelled"
            self._end()
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._next() is not None)
                job = self._next()
                if self._closed or job is None:
                    return
                job.state = "running"
                arguments = self._arguments.pop(job.id)
            start = time.monotonic()
            try:
                outcome = self._predict(job, arguments(), start)
            except InputError as error:
                outcome = str(error)
            except Exception as error:  # whatever it is, the next prediction can be made
                outcome = one_line(f"{type(error).__name__}: {error}")
            with self._changed:
                if job.state == "running":
                    job.state, job.error = ("failed", outcome) if outcome else ("done", "")
                job.seconds = time.monotonic() - start
                self._changed.notify_all()

    def _next(self) -> Job | None:
        return next((job for job in self._jobs.values() if job.state == "waiting"), None)

    def _predict(self, job: Job, arguments: list[str], start: float) -> str:
        """Has the process predict; returns what went wrong, or nothing."""
        with self._changed:
            if job.state != "running":
                return ""
            process = self._started()
            self._reading = True
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(arguments) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                message = json.loads(line)
                job.seconds = time.monotonic() - start
                if "finished" in message:
                    return ""
                if "error" in message:
                    return message["error"]
                if "note" in message:
                    job.notes.append(message["note"])
                else:
                    job.stage, job.done, job.of = message["stage"], message["done"], message["of"]
        except (BrokenPipeError, ValueError, LookupError, TypeError):  # it died, or says something else
            pass
        finally:
            with self._changed:
                self._reading = False
                if self._process is not process:  # cancelled meanwhile
                    _close(process)
        with self._changed:
            if self._process is process:
                self._end()
        return "the prediction ended without a result, look at the terminal of the workbench"

    def _started(self) -> "subprocess.Popen[str]":
        if self._process is not None and self._process.poll() is not None:  # it was killed
            _close(self._process)
            self._process = None
        if self._process is None:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
            )
        return self._process

    def _end(self) -> None:
        """Ends the process, gently first, so that it removes what it has half written."""
        process, self._process = self._process, None
        if process is None:
            return
        if sys.platform == "win32":
            process.kill()
        else:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if not self._reading:
            _close(process)


def _close(process: "subprocess.Popen[str]") -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):  # what was not sent
                stream.close()
