"""`neuralizer COMMAND ...`: runs a command and returns the exit status.

0: done; 1: some of several scans failed; 2: wrong input; 130: interrupted; 141: the reader of the output is gone, as
with `| head`.
"""

import argparse
import gc
import io
import os
import shlex
import sys
from collections.abc import Sequence
from typing import NoReturn

from neuralizer_jax import __version__
from neuralizer_jax.cli import (
    bids,
    card,
    convert,
    demo,
    episodes,
    evaluate,
    experiment,
    predict,
    prepare,
    push_ready,
    report,
    runtime,
    serve,
    train,
)
from neuralizer_jax.errors import InputError, one_line

_COMMANDS = (
    *(predict, bids, serve, demo, prepare, episodes, train, evaluate, runtime, report, card, experiment, convert),
    push_ready,
)


class _Parser(argparse.ArgumentParser):
    """A parser that reports a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        """Prints the message and exits with status 2."""
        self.exit(2, f"{self.prog}: error: {one_line(message)} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; `arguments` are those of the process by default. Returns the exit status."""
    parser = _Parser(prog="neuralizer", description="In-context neuroimage analysis: context pairs in, result out.")
    parser.add_argument("--version", action="version", version=f"neuralizer {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(commands)
    options, changes = parser.parse_known_args(arguments)
    options.changes = changes
    if changes and not getattr(options, "changes_config", False):
        parser.parse_args(arguments)  # reports the unknown option
    options.command_line = shlex.join(["neuralizer", *(sys.argv[1:] if arguments is None else arguments)])
    # Imports and tracing create a million objects that live as long as the process. By default, Python would search all
    # of them for garbage many times, which takes a tenth of the time to the first prediction.
    gc.set_threshold(100_000, 50, 50)
    if isinstance(sys.stdout, io.TextIOWrapper):  # for file names that this terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = options.run(options) or 0
        if sys.stdout is not None:  # as after `>&-`
            sys.stdout.flush()
    except InputError as error:
        return _failed(str(error))
    except BrokenPipeError:
        # Python flushes stdout once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.filename is None:  # no file of the user's
            raise
        return _failed(f"{error.filename}: {error.strerror}")
    except ValueError as error:
        # JAX reads its environment when it is imported.
        if "for environment" not in str(error) and "for JAX flag" not in str(error):
            raise
        return _failed(f"the environment of JAX: {error}")
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):  # JAX is out of memory
            raise
        return _failed(f"out of memory, try {getattr(options, 'less_memory', 'another device')}")
    except KeyboardInterrupt:
        print("neuralizer: interrupted", file=sys.stderr)
        return 130
    return status


def _failed(message: str) -> int:
    """Prints an error in one line, whatever the names in it."""
    print(f"neuralizer: error: {one_line(message)}", file=sys.stderr)
    return 2
