"""`neuralizer COMMAND ...`: arguments in, exit status out: 0, 2 for wrong input, 130 when interrupted.

141 where nobody reads what it prints, as of `| head`.
"""

import argparse
import io
import os
import shlex
import sys
from collections.abc import Sequence
from typing import NoReturn

from neuralizer_jax import __version__
from neuralizer_jax.cli import convert, demo, episodes, evaluate, experiment, predict, prepare, report, runtime, train
from neuralizer_jax.errors import InputError


class _Parser(argparse.ArgumentParser):
    """A parser that reports a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        """Prints the message and exits with status 2."""
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; `arguments` are those of the process by default. Returns the exit status."""
    parser = _Parser(prog="neuralizer", description="In-context neuroimage analysis: example pairs in, result out.")
    parser.add_argument("--version", action="version", version=f"neuralizer {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (prepare, episodes, train, evaluate, runtime, report, experiment, predict, convert, demo):
        command.add_parser(commands)
    options, options.changes = parser.parse_known_args(arguments)
    if options.changes and not getattr(options, "changes_config", False):
        parser.parse_args(arguments)  # says what is wrong
    options.command_line = shlex.join(["neuralizer", *(sys.argv[1:] if arguments is None else arguments)])
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name that this terminal cannot show is no mistake
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        options.run(options)
        sys.stdout.flush()
    except InputError as error:
        return _failed(str(error))
    except BrokenPipeError:
        # Python would try once more to print it when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.filename is None:  # not about a file that the user named
            raise
        return _failed(f"{error.filename}: {error.strerror}")
    except RuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):  # what JAX raises when an array finds no memory
            raise
        return _failed("not enough memory, expected a smaller image or another device; to predict, --context-chunk 1")
    except KeyboardInterrupt:
        print("neuralizer: interrupted", file=sys.stderr)
        return 130
    return 0


def _failed(message: str) -> int:
    """Reports wrong input in one line, whatever is in the names it mentions."""
    print(f"neuralizer: error: {' '.join(message.splitlines())}", file=sys.stderr)
    return 2
