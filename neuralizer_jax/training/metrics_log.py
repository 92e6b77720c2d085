"""The numbers of a run on disk: `metrics.csv` and TensorBoard event files."""

import csv
import io
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole

METRICS_FILE = "metrics.csv"

_COLUMNS = ["step", "name", "value"]


class MetricsLog(AbstractContextManager["MetricsLog"]):
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


def mean_losses(kind: str, task: np.ndarray, losses: np.ndarray, tasks: Sequence[str]) -> dict[str, float]:
    """The mean of losses `[B]`, `KIND/loss`, and of each task that occurs, `KIND/loss/TASK`.

    `task`, int `[B]`, indexes the names `tasks`.

    Example:
        >>> mean_losses("train", np.array([0, 1, 1]), np.array([0.5, 0.25, 0.75]), ["segmentation", "denoising"])
        {'train/loss': 0.5, 'train/loss/segmentation': 0.5, 'train/loss/denoising': 0.5}
    """
    by_task = {f"{kind}/loss/{name}": losses[task == index] for index, name in enumerate(tasks)}
    by_name = {f"{kind}/loss": losses} | by_task
    return {name: float(values.mean()) for name, values in by_name.items() if len(values)}


def read_metrics(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Reads a `metrics.csv`, even while it is being written.

    Returns:
        Steps int64 `[S]` and values float64 `[S]` by name, names in the order in which they first appear.

    Raises:
        InputError: the file is missing or damaged; the line is named.
    """
    rows = pd.DataFrame(_read_rows(path), columns=_COLUMNS)
    by_name = rows.groupby("name", sort=False)
    return {str(name): (curve["step"].to_numpy(), curve["value"].to_numpy()) for name, curve in by_name}


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
