"""A whole experiment: commands of `neuralizer` that run one after another, each once."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole

# In the experiment's folder: the finished commands, by command line: {"seconds": 12.3}.
DONE_FILE = "commands.json"


@dataclass(frozen=True)
class Command:
    """A command of `neuralizer`.

    Attributes:
        arguments: of `neuralizer`.
        makes: file or folder that the command writes; where it is missing the command runs again.
        always: run the command even if it ran before, because its result depends on more than the commands before it.

    Example:
        >>> Command(("report", "my results"), Path("my results/report/index.html")).line
        "neuralizer report 'my results'"
    """

    arguments: tuple[str, ...]
    makes: Path
    always: bool = False

    @property
    def line(self) -> str:
        """The command as typed in a shell."""
        return shlex.join(["neuralizer", *self.arguments])


class Stopped(Exception):
    """A signal, the argument, stopped the experiment; the running command has ended."""


def run_commands(
    commands: Sequence[Command], folder: Path, program: Sequence[str] = (sys.executable, "-m", "neuralizer_jax")
) -> None:
    """Runs the commands that have not run yet, each in its own process.

    After an interruption the same call goes on with the command that did not finish; finished commands are listed in
    `folder/commands.json`. SIGINT and SIGTERM are passed on to the running command, so that it can save its state.

    Args:
        commands: equal ones run once.
        folder: of the experiment; created if needed.
        program: that the arguments are given to.

    Raises:
        InputError: a command fails, or does not write what it should.
        Stopped: a signal arrived.
    """
    commands = list(dict.fromkeys(commands))
    folder.mkdir(parents=True, exist_ok=True)
    done_path = folder / DONE_FILE
    done = _read(done_path)
    for number, command in enumerate(commands, 1):
        count = f"[{number}/{len(commands)}]"
        if command.line in done and command.makes.exists() and not command.always:
            print(f"{count} done before: {command.line}", flush=True)
            continue
        print(f"\n{count} {command.line}", flush=True)
        start = time.monotonic()
        if status := _run([*program, *command.arguments]):
            raise InputError(f"{command.line}: failed with status {status}; the same command goes on from there")
        if not command.makes.exists():
            raise InputError(f"{command.line}: made no {command.makes}")
        done[command.line] = {"seconds": round(time.monotonic() - start, 1)}
        with written_whole(done_path) as temporary:
            temporary.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")


def _read(path: Path) -> dict[str, dict[str, float]]:
    try:
        done = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}), expected the finished commands as JSON") from None
    if not isinstance(done, dict):
        raise InputError(f"{path}: damaged, expected the finished commands; without the file all run again")
    return done


def _run(command: Sequence[str]) -> int:
    """Runs a process to its end and passes SIGINT and SIGTERM on to it. Returns its status, or raises Stopped."""
    # In its own process group it gets a Ctrl-C once, from here, and not from the terminal too.
    process = subprocess.Popen(command, process_group=0)
    received: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        received.append(number)
        process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise Stopped(signal.Signals(received[0]))
    return status


def shown_path(path: Path) -> str:
    """A path relative to the current folder if it is inside it, otherwise absolute.

    Example:
        >>> shown_path(Path("results/smoke").resolve())
        'results/smoke'
    """
    path = path.resolve()
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
