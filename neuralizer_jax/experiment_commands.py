"""A whole experiment: commands that are run one after another, each once."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole

_NEURALIZER = (sys.executable, "-m", "neuralizer_jax")

# What is done, by its command line: {"seconds": 12.3}.
RECORD = "steps.json"


@dataclass(frozen=True)
class Step:
    """A command of `neuralizer`.

    Attributes:
        arguments: of `neuralizer`, for instance `("report", "results")`.
        makes: file or folder that is there when it is done; where it is missing the command is run again.
        always: whether it is run again in any case, since it depends on more than the commands before.
    """

    arguments: tuple[str, ...]
    makes: Path
    always: bool = False

    @property
    def line(self) -> str:
        """The command as a person would type it."""
        return shlex.join(["neuralizer", *self.arguments])


class Stopped(Exception):
    """The experiment was asked to stop by a signal, and its command has ended."""

    def __init__(self, number: int):
        """`number` of the signal."""
        super().__init__(signal.Signals(number).name)
        self.number = number


def run_steps(steps: Sequence[Step], folder: Path) -> None:
    """Runs the commands that were not run before, each in a process of its own.

    Interrupted at any time, the same call goes on with the command that had not ended; that a command is done stands in
    `folder/steps.json`. SIGINT and SIGTERM are passed on to the command, which may save its state.

    Args:
        steps: two that are equal are run once.
        folder: of the experiment, made where it is missing.

    Raises:
        InputError: where a command fails, or does not make what it should.
        Stopped: by a signal.
    """
    steps = list(dict.fromkeys(steps))
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / RECORD
    done = _read(record)
    for number, step in enumerate(steps, 1):
        place = f"[{number}/{len(steps)}]"
        if step.line in done and step.makes.exists() and not step.always:
            print(f"{place} done before: {step.line}", flush=True)
            continue
        print(f"\n{place} {step.line}", flush=True)
        start = time.monotonic()
        status = _run(step.arguments)
        if status:
            raise InputError(f"{step.line}: failed with status {status}; the same command goes on from there")
        if not step.makes.exists():
            raise InputError(f"{step.line}: made no {step.makes}")
        done[step.line] = {"seconds": round(time.monotonic() - start, 1)}
        with written_whole(record) as temporary:
            temporary.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")


def _read(record: Path) -> dict[str, dict[str, float]]:
    try:
        done = json.loads(record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{record}: cannot be read ({error}), expected what was done in JSON") from None
    if not isinstance(done, dict):
        raise InputError(f"{record}: damaged, expected commands that were done; without the file all are run again")
    return done


def _run(arguments: Sequence[str]) -> int:
    """Runs a command of `neuralizer` to its end. Returns its status. Raises Stopped after a signal."""
    # In a group of its own a Ctrl-C reaches it once, from here.
    process = subprocess.Popen([*_NEURALIZER, *arguments], process_group=0)
    with _passed_on(process) as received:
        status = process.wait()
    if received:
        raise Stopped(received[0])
    return status


@contextmanager
def _passed_on(process: subprocess.Popen) -> Iterator[list[int]]:
    """Passes SIGINT and SIGTERM on to a process, and gives those that came."""
    received: list[int] = []

    def note(number: int, frame: object) -> None:
        received.append(number)
        process.send_signal(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def shown_path(path: Path) -> str:
    """A path as a person would type it in this folder."""
    path, here = path.resolve(), Path.cwd()
    return os.path.relpath(path) if path.is_relative_to(here) else str(path)
