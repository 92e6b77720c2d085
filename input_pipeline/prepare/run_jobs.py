"""Runs the jobs of a dataset, in parallel and resumable: each writes one subject, or the reason why it was dropped.

The dataset's folder receives `work/subjects/ID.npz` and `quality/pictures/ID.png`, or `work/dropped/ID.json`. A file is
written whole or not at all, and a subject that has a file is not made again. So an interrupted run continues where it
stopped, and the jobs of a cluster can share the folder. The next run tries a dropped subject again.
"""

import errno
import json
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tqdm import tqdm

from input_pipeline.prepare.quality_picture import quality_picture, save_picture
from input_pipeline.slices.job import Job, MadeSubject
from input_pipeline.slices.record import from_example, to_example
from neuralizer_jax.errors import InputError, OutputError, one_line
from neuralizer_jax.files.atomic_file import written_whole

# Each worker computes on one core.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def run_jobs(jobs: Sequence[Job], folder: Path, *, raw: Path | None = None, workers: int | None = None) -> None:
    """Runs the jobs whose subjects are not in the folder yet, with a progress bar on a terminal.

    What is wrong with a subject's files is written down, and the others are made. What is wrong with the machine ends
    the run: no space, no memory, a lost disk. Finished subjects are kept.

    Args:
        jobs: one for each subject.
        folder: the dataset's; made if missing.
        raw: the folder of the raw files, if any.
        workers: processes; None: one for each core.

    Raises:
        InputError: the machine is at fault, or a worker process died, usually because memory ran out.
    """
    try:
        for part in ("work/subjects", "work/dropped", "quality/pictures"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        _run_all(jobs, folder, raw, workers)
    except (BrokenProcessPool, MemoryError) as error:
        what = "out of memory" if isinstance(error, MemoryError) else "a worker process died, most likely out of memory"
        raise InputError(f"{folder}: {what}: run again with fewer --workers; finished subjects are kept") from None
    except (OSError, ImportError) as error:
        place, reason = getattr(error, "filename", None) or folder, getattr(error, "strerror", None) or error
        raise InputError(f"{one_line(place)}: {reason}; finished subjects are kept, run again to go on") from error


def _run_all(jobs: Sequence[Job], folder: Path, raw: Path | None, workers: int | None) -> None:
    missing = [job for job in jobs if not subject_file(folder, job.subject).exists()]
    workers = min(workers or available_cores(), len(missing))
    with tqdm(total=len(jobs), initial=len(jobs) - len(missing), unit="subject", disable=None) as progress:
        if workers <= 1:
            for job in missing:
                _run(job, folder, raw)
                progress.update()
            return
        with _environment(_ONE_THREAD), _pool(workers) as pool:
            futures: list[Future] = [pool.submit(_run, job, folder, raw) for job in missing]
            for future in as_completed(futures):
                future.result()
                progress.update()


def subject_file(folder: Path, subject: str) -> Path:
    """File of a prepared subject."""
    return folder / "work/subjects" / f"{subject}.npz"


def dropped_file(folder: Path, subject: str) -> Path:
    """File with the reason why a subject was dropped."""
    return folder / "work/dropped" / f"{subject}.json"


def picture_file(folder: Path, subject: str) -> Path:
    """File of a subject's quality picture."""
    return folder / "quality/pictures" / f"{subject}.png"


def dropped_reason(folder: Path, subject: str) -> str:
    """The reason why a subject was dropped."""
    return json.loads(dropped_file(folder, subject).read_text(encoding="utf-8"))["reason"]


def load_subject(folder: Path, subject: str) -> MadeSubject:
    """Reads a prepared subject. Raises InputError if its file is damaged."""
    path = subject_file(folder, subject)
    try:
        with np.load(path, allow_pickle=False) as file:
            example = dict(file)
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise InputError(
            f"{path}: cannot be read ({error}), expected a prepared subject; delete it and run again"
        ) from error
    dropped = dict(zip(example.pop("dropped_images").tolist(), example.pop("dropped_reasons").tolist(), strict=True))
    return MadeSubject(from_example(example), example.pop("quantiles", None), dropped)


def available_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run(job: Job, folder: Path, raw: Path | None) -> None:
    """Makes one subject and writes it, or writes the reason why it is dropped. Faults of the machine are raised."""
    try:
        made = job.make()
        picture = quality_picture(made.record)
    except (OutputError, MemoryError, ImportError):
        raise
    except InputError as error:
        _check_there(raw)
        _note(folder, job, str(error))
        return
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise
        # A bug that one subject in thousands meets must not stop the others.
        _note(folder, job, f"unexpected {type(error).__name__}: {error}", traceback.format_exc())
        return
    save_picture(picture_file(folder, job.subject), picture)
    arrays = {name: np.asarray(value) for name, value in to_example(made.record).items()}
    arrays["dropped_images"] = np.array(list(made.dropped), str)
    arrays["dropped_reasons"] = np.array(list(made.dropped.values()), str)
    if made.quantiles is not None:
        arrays["quantiles"] = made.quantiles
    with written_whole(subject_file(folder, job.subject)) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    dropped_file(folder, job.subject).unlink(missing_ok=True)


def _check_there(raw: Path | None) -> None:
    """Raises OSError if the folder of the raw files is gone or empty, as a disk that is no longer mounted."""
    if raw and next(raw.iterdir(), None) is None:
        raise FileNotFoundError(errno.ENOENT, "is empty, although files were found in it", str(raw))


def _note(folder: Path, job: Job, reason: str, details: str = "") -> None:
    with written_whole(dropped_file(folder, job.subject)) as temporary:
        temporary.write_text(json.dumps({"reason": reason, "details": details}), encoding="utf-8")


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Sets environment variables for the processes started inside; variables that the user has set stay."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes, spawned because forking a process with threads can hang; jobs not started are cancelled."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Leaves Ctrl-C to the parent, and ends with it: a killed parent would leave its workers waiting for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
