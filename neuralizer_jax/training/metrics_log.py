"""What a run leaves behind in numbers: `metrics.csv`, TensorBoard's event files and `summary.json`."""

import csv
import io
import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole

METRICS_FILE = "metrics.csv"
SUMMARY_FILE = "summary.json"

_COLUMNS = ("step", "name", "value")


class Record:
    """Scalars of a run, written to `metrics.csv` (a row a value: step, name, value) and to `tensorboard/`.

    A context manager. Each write is on disk when it returns.
    """

    def __init__(self, folder: Path, start_step: int = 0):
        """Opens the record of a run, or goes on with it.

        Args:
            folder: the run's, made where it is missing.
            start_step: of the checkpoint that training goes on from. What an earlier process wrote of later steps is
                dropped, since they are done again; 0, from the beginning, drops everything.

        Raises:
            InputError: files that cannot be written, or a `metrics.csv` that is damaged.
        """
        # Imported here, since it imports PyTorch where that is installed.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2, summary_pb2

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        self._folder = folder
        path, events = folder / METRICS_FILE, folder / "tensorboard"
        with self._writing():
            events.mkdir(parents=True, exist_ok=True)
            kept = [row for row in _read_rows(path) if row[0] <= start_step] if start_step and path.exists() else []
            with written_whole(path) as temporary:
                temporary.write_text(_as_lines([_COLUMNS, *kept]), encoding="utf-8", newline="")
            # Not SummaryWriter: its thread dies of a full disk, and then its queue blocks the training for ever.
            self._events = EventsWriter(str(events / "events"), f".{start_step}")
            self._csv = path.open("a", encoding="utf-8", newline="")
            # TensorBoard hides what other files hold from this step on.
            session = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._add_event(start_step + 1 if start_step else 0, session_log=session)

    def __enter__(self) -> "Record":
        """Itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes the files."""
        with self._writing(), closing(self._events):
            self._csv.close()

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Adds values of a step, by name. Raises InputError where they cannot be written."""
        values = [(name, float(value)) for name, value in scalars.items()]
        with self._writing():
            self._csv.write(_as_lines((int(step), *value) for value in values))
            self._csv.flush()
            value_of = self._summary.Value
            of_step = [value_of(tag=name, simple_value=value) for name, value in values]
            self._add_event(step, summary=self._summary(value=of_step))

    def image(self, step: int, name: str, path: Path) -> None:
        """Adds a picture, a PNG file, to TensorBoard. Raises InputError where it cannot be read or written."""
        from PIL import Image

        with self._writing():
            png = path.read_bytes()
            with Image.open(io.BytesIO(png)) as opened:
                width, height = opened.size
            image = self._summary.Image(encoded_image_string=png, width=width, height=height, colorspace=3)
            self._add_event(step, summary=self._summary(value=[self._summary.Value(tag=name, image=image)]))

    def _add_event(self, step: int, **content: Any) -> None:
        self._events.write_event(self._event(wall_time=time.time(), step=int(step), **content))
        self._events.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(f"{self._folder}: cannot be written ({error.strerror or error})") from None


class TaskLosses:
    """Training losses since the last look at them."""

    def __init__(self, tasks: Sequence[str]):
        """Nothing yet; `tasks` are the names that `task` of an episode counts into."""
        self._tasks = tuple(tasks)
        self._batches = []

    def add(self, task: ArrayLike, losses: ArrayLike) -> None:
        """Adds a step's `[B]` int and `[B]`. They may still be computed: nothing waits for them here."""
        self._batches.append((task, losses))

    def means(self) -> dict[str, float]:
        """`train/loss` over all examples, `train/loss/TASK` over a task's, where there are any; then starts anew.

        Raises:
            ValueError: when nothing was added.
        """
        task, losses = (np.concatenate([np.asarray(x) for x in column]) for column in zip(*self._batches, strict=True))
        self._batches = []
        means = {"train/loss": float(losses.mean())}
        for place, name in enumerate(self._tasks):
            if (task == place).any():
                means[f"train/loss/{name}"] = float(losses[task == place].mean())
        return means


def read_metrics(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Reads a `metrics.csv`, also one that is being written.

    Returns:
        For each name, in the order in which they first appear, steps int64 `[S]` and values float64 `[S]`.

    Raises:
        InputError: a file that is missing or damaged; the line is named.
    """
    of_name = {}
    for step, name, value in _read_rows(path):
        of_name.setdefault(name, []).append((step, value))
    return {
        name: (np.array([step for step, _ in rows], np.int64), np.array([value for _, value in rows], np.float64))
        for name, rows in of_name.items()
    }


def write_summary(folder: Path, summary: Mapping[str, Any]) -> Path:
    """Writes `summary.json`: keys sorted, NaN and infinities as null, which JSON has no numbers for.

    Args:
        folder: the run's.
        summary: strings, numbers, lists and dicts of them.

    Returns:
        The file's path.

    Raises:
        InputError: where it cannot be written.
    """
    path = folder / SUMMARY_FILE
    with written_whole(path) as temporary:
        text = json.dumps(_finite(summary), indent=2, sort_keys=True, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return path


def _read_rows(path: Path) -> list[tuple[int, str, float]]:
    """Rows of a `metrics.csv`, without a last line that is not finished: it may end inside of a number."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    rows = []
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if not line.endswith("\n"):
            break
        try:
            (step, name, value) = next(csv.reader([line]))
            rows.append((step, name, value) if number == 1 else (int(step), name, float(value)))
        except (ValueError, StopIteration, csv.Error):
            rows.append(())
        if not rows[-1] or rows[0] != _COLUMNS:
            raise InputError(f"{path}: line {number} is {line.strip()!r}, expected {','.join(_COLUMNS)}")
    return rows[1:]


def _as_lines(rows: Iterable[Sequence]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
