"""Runs a command in this process and judges what a user would see."""

import io
import os
import resource
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import NamedTuple

from neuralizer_jax.cli.main import main

# Verdicts. `changed`: another answer without a word, allowed only where nothing in a damaged file tells.
RIGHT, NOTED, REFUSED, CHANGED, FAULT = "right", "noted", "refused", "changed", "fault"


class Verdict(NamedTuple):
    """One of the names above, and what a reader needs to know of it."""

    name: str
    detail: str = ""


SECONDS = 20
MEGABYTES = 400

_NOTE, _ERROR = "neuralizer: note: ", "neuralizer: error: "


@dataclass(frozen=True)
class Ran:
    """What a command left behind; `fault` is empty unless it broke a promise that holds for all input.

    `notes` and `errors` are the lines on stderr without their beginning.
    """

    status: int
    stdout: str
    notes: tuple[str, ...]
    errors: tuple[str, ...]
    fault: str


class _TooSlow(BaseException):
    pass


def _too_slow(*_):
    raise _TooSlow


def run(arguments: Sequence[str]) -> Ran:
    """Runs `neuralizer ARGUMENTS`.

    The promises: no traceback; status 0, or 2 with one line; no line on stderr that is neither an error nor a note;
    an end within `SECONDS`; less than `MEGABYTES` more memory.
    """
    stdout, stderr = io.StringIO(), io.StringIO()
    status, fault = -1, ""
    memory = _peak_megabytes()
    before = signal.signal(signal.SIGALRM, _too_slow)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        with redirect_stdout(stdout), redirect_stderr(stderr), _libraries_write_to(stderr):
            status = main(list(arguments))
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except _TooSlow:
        fault = f"no end after {SECONDS} s"
    except BaseException:  # whatever it is, a user would see a traceback
        fault = "traceback: " + traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    lines = [line for line in stderr.getvalue().splitlines() if line.strip()]
    notes = tuple(line.removeprefix(_NOTE) for line in lines if line.startswith(_NOTE))
    errors = tuple(line for line in lines if not line.startswith(_NOTE))
    if not fault:
        if status not in (0, 2):
            fault = f"status {status}: {errors}"
        elif (status == 2) != (len(errors) == 1) or len(errors) > 1:
            fault = f"status {status} with {len(errors)} lines on stderr besides notes: {errors}"
        elif (grown := _peak_megabytes() - memory) > MEGABYTES:
            fault = f"{grown:.0f} MB more memory"
    return Ran(status, stdout.getvalue(), notes, errors, fault)


@contextmanager
def _libraries_write_to(stderr: io.StringIO) -> Iterator[None]:
    """Adds what libraries in other languages print to the error output of the process."""
    sys.__stderr__.flush()
    before = os.dup(2)
    with TemporaryFile() as printed:
        os.dup2(printed.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(before, 2)
            os.close(before)
            printed.seek(0)
            stderr.write(printed.read().decode(errors="backslashreplace"))


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
