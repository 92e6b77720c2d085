"""Runs predictions for the workbench, in a process that can be ended: a JSON line in, JSON lines out.

In: the arguments of `neuralizer predict`, `["--task", "segmentation", ...]`. Out, for each: `{"stage": "aligning",
"done": 3, "of": 9}` and `{"note": "..."}`, at last `{"finished": true}` or `{"error":
"..."}`. It ends with its standard input.
"""

import argparse
import io
import json
import os
import queue
import shlex
import sys
import threading
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import TextIO

from neuralizer_jax.cli import predict
from neuralizer_jax.errors import InputError, one_line

_NOTE = "neuralizer: note: "


def main() -> int:
    """Runs predictions until standard input ends."""
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    try:
        import neuralizer_jax.volumes.predict
        import neuralizer_jax.weights  # noqa: F401, takes seconds, best before the first request

        while True:
            _answer(answers, _outcome(json.loads(requests.get()), answers))
    except KeyboardInterrupt:
        return 130


def _read(requests: "queue.SimpleQueue[str]") -> None:
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)  # in the middle of a prediction too: nobody waits for it


def _answer(answers: TextIO, message: dict) -> None:
    print(json.dumps(message), file=answers, flush=True)


def _outcome(arguments: Sequence[str], answers: TextIO) -> dict:
    """Runs a prediction; returns the last answer."""
    parser = argparse.ArgumentParser(prog="neuralizer")
    predict.add_parser(parser.add_subparsers())
    options = parser.parse_args(["predict", *arguments])
    options.command_line = shlex.join(["neuralizer", "predict", *arguments])
    options.on_progress = lambda stage, done, of: _answer(answers, {"stage": stage, "done": done, "of": of})
    notes = _Notes(answers)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(notes):
            predict.run(options)
    except InputError as error:
        return {"error": one_line(error)}
    except OSError as error:
        return {"error": one_line(f"{error.filename}: {error.strerror}" if error.filename else error)}
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return {"error": "out of memory, expected a smaller scan or fewer examples"}
    return {"finished": True}


class _Notes(io.TextIOBase):
    """A standard error that sends its notes as answers."""

    def __init__(self, answers: TextIO) -> None:
        self._answers = answers

    def write(self, text: str) -> int:
        for line in text.splitlines():
            if line.startswith(_NOTE):
                _answer(self._answers, {"note": line.removeprefix(_NOTE)})
        return len(text)


if __name__ == "__main__":
    sys.exit(main())
