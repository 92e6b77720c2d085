"""The numbers of a run on disk: `metrics.csv`, TensorBoard event files and `summary.json`."""

import csv
import io
import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole

METRICS_FILE = "metrics.csv"
SUMMARY_FILE = "summary.json"

_COLUMNS = ["step", "name", "value"]


class MetricsLog:
    """Writes scalars of a run to `metrics.csv` (a row a value: step, name, value) and to `tensorboard/`.

    A context manager. Each write is on disk when it returns.

    Example:
        >>> with MetricsLog(Path("runs/first")) as log:
        ...     log.write(50, {"train/loss": 0.5})
        >>> read_metrics(Path("runs/first/metrics.csv"))
        {'train/loss': (array([50]), array([0.5]))}
    """

    def __init__(self, folder: Path, start_step: int = 0):
        """Opens the files of a run.

        Args:
            folder: of the run, created if needed.
            start_step: step of the checkpoint that training goes on from. Rows of later steps, written by an earlier
                process, are dropped because these steps run again; 0 drops all rows.

        Raises:
            InputError: the files cannot be written, or `metrics.csv` is damaged.
        """
        # Imported here because it imports PyTorch if that is installed.
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
            # Not SummaryWriter: if the disk is full, its thread dies and its queue blocks the training for ever.
            self._events = EventsWriter(str(events / "events"), f".{start_step}")
            self._csv = path.open("a", encoding="utf-8", newline="")
            # TensorBoard hides what other files hold from this step on.
            session = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._add_event(start_step + 1 if start_step else 0, session_log=session)

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes the files."""
        with self._writing(), closing(self._events):
            self._csv.close()

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Adds the values of a step, by name. Raises InputError if they cannot be written."""
        values = [(name, float(value)) for name, value in scalars.items()]
        with self._writing():
            self._csv.write(_as_lines((int(step), *value) for value in values))
            self._csv.flush()
            shown = [self._summary.Value(tag=name, simple_value=value) for name, value in values]
            self._add_event(step, summary=self._summary(value=shown))

    def image(self, step: int, name: str, path: Path) -> None:
        """Adds a PNG file to TensorBoard. Raises InputError if it cannot be read or written."""
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
    """Collects training losses and averages them by task.

    Example:
        >>> losses = TaskLosses(["segmentation", "denoising"])
        >>> losses.add([0, 1, 1], [0.5, 0.25, 0.75])
        >>> losses.means()
        {'train/loss': 0.5, 'train/loss/segmentation': 0.5, 'train/loss/denoising': 0.5}
    """

    def __init__(self, tasks: Sequence[str]):
        """`tasks`: task names; `task` indexes them."""
        self._tasks = tuple(tasks)
        self._batches: list[tuple[ArrayLike, ArrayLike]] = []

    def add(self, task: ArrayLike, losses: ArrayLike) -> None:
        """Adds a batch: task `[B]` int and loss `[B]`. Does not wait for arrays that are still being computed."""
        self._batches.append((task, losses))

    def means(self) -> dict[str, float]:
        """`train/loss`, and `train/loss/TASK` of each task that occurred; then starts anew.

        Raises:
            ValueError: nothing was added.
        """
        task, losses = (np.concatenate([np.asarray(x) for x in column]) for column in zip(*self._batches, strict=True))
        self._batches = []
        means = {"train/loss": float(losses.mean())}
        for index, name in enumerate(self._tasks):
            if (task == index).any():
                means[f"train/loss/{name}"] = float(losses[task == index].mean())
        return means


def read_metrics(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Reads a `metrics.csv`, even while it is being written.

    Returns:
        Steps int64 `[S]` and values float64 `[S]` by name, names in the order in which they first appear.

    Raises:
        InputError: the file is missing or damaged; the line is named.
    """
    curves: dict[str, list[tuple[int, float]]] = {}
    for step, name, value in _read_rows(path):
        curves.setdefault(name, []).append((step, value))
    return {
        name: (np.array([step for step, _ in rows], np.int64), np.array([value for _, value in rows], np.float64))
        for name, rows in curves.items()
    }


def write_summary(folder: Path, summary: Mapping[str, Any]) -> Path:
    """Writes `summary.json`, keys sorted; NaN and infinities become null because JSON has no such numbers.

    Args:
        folder: of the run.
        summary: strings, numbers, lists and dicts of them.

    Returns:
        The file's path.

    Raises:
        InputError: it cannot be written.
    """
    path = folder / SUMMARY_FILE
    with written_whole(path) as temporary:
        text = json.dumps(_finite(summary), indent=2, sort_keys=True, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return path


def _read_rows(path: Path) -> list[tuple[int, str, float]]:
    """Rows of a `metrics.csv`. An unfinished last line is skipped: it may end within a number."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.endswith("\n"):
            break
        try:
            row = next(csv.reader([line]))
            if number > 1:
                step, name, value = row
                rows.append((int(step), name, float(value)))
            elif row != _COLUMNS:
                raise ValueError
        except (ValueError, StopIteration, csv.Error):
            raise InputError(f"{path}: line {number} is {line.strip()!r}, expected {','.join(_COLUMNS)}") from None
    return rows


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
