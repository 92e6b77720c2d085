"""Every subject of a dataset made, in parallel and resumable: jobs in, one file and one picture a subject out.

What is made lies in the dataset's folder: `work/subjects/ID.npz` and `quality/pictures/ID.png`, or, with the reason,
`work/dropped/ID.json`. Each file is written whole, and a subject that has one is not made again: a run that was killed
goes on where it stopped, and the jobs of a cluster can share the folder. A dropped subject is tried again by the next
run.
"""

import json
import multiprocessing
import os
import signal
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
from input_pipeline.space.grid import SLICE_Y
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole

# Each worker computes on one core.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def prepare_subjects(jobs: Sequence[Job], folder: Path, *, workers: int | None = None) -> None:
    """Makes the subjects that the folder does not have yet, with a progress bar on a terminal.

    Args:
        jobs: what to make.
        folder: the dataset's; made where it is missing.
        workers: processes; None: one a core.

    Raises:
        InputError: where a process died, which the machine's memory is the usual reason for.
    """
    for part in ("work/subjects", "work/dropped", "quality/pictures"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    missing = [job for job in jobs if not subject_file(folder, job.subject).exists()]
    workers = min(workers or available_cores(), len(missing))
    progress = tqdm(total=len(jobs), initial=len(jobs) - len(missing), unit="subject", disable=None)
    if workers <= 1:
        with progress:
            for job in missing:
                _make(job, folder)
                progress.update()
        return
    with progress, _environment(_ONE_THREAD), _pool(workers) as pool:
        futures: list[Future] = [pool.submit(_make, job, folder) for job in missing]
        try:
            for future in as_completed(futures):
                future.result()
                progress.update()
        except BrokenProcessPool:
            raise InputError(
                f"{folder}: a worker process died, most likely for want of memory: run again with fewer --workers,"
                " what is done is kept"
            ) from None


def subject_file(folder: Path, subject: str) -> Path:
    """Where the folder has a subject."""
    return folder / "work/subjects" / f"{subject}.npz"


def dropped_file(folder: Path, subject: str) -> Path:
    """Where the folder has the reason for which a subject was dropped."""
    return folder / "work/dropped" / f"{subject}.json"


def picture_file(folder: Path, subject: str) -> Path:
    """Where the folder has a subject's picture."""
    return folder / "quality/pictures" / f"{subject}.png"


def dropped_reason(folder: Path, subject: str) -> str:
    """Why a subject was dropped."""
    return json.loads(dropped_file(folder, subject).read_text(encoding="utf-8"))["reason"]


def load_subject(folder: Path, subject: str) -> MadeSubject:
    """A subject that was made. Raises InputError where the file is damaged."""
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
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _make(job: Job, folder: Path) -> None:
    """Makes one subject and writes it, or why not."""
    try:
        made = job.make()
        record = made.record
        middle = int(np.argmin(np.abs(record.y - SLICE_Y)))
        save_picture(picture_file(folder, job.subject), quality_picture(record, middle))
        arrays = to_example(record) | {
            "dropped_images": np.array(list(made.dropped), str),
            "dropped_reasons": np.array(list(made.dropped.values()), str),
        }
        if made.quantiles is not None:
            arrays["quantiles"] = made.quantiles
        with written_whole(subject_file(folder, job.subject)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)
        dropped_file(folder, job.subject).unlink(missing_ok=True)
    except InputError as error:
        _note(folder, job, str(error))
    except (OSError, MemoryError):  # not the subject's fault: the disk is full, or the machine small
        raise
    except Exception as error:
        # One subject in thousands must not end a night's work.
        _note(folder, job, f"unexpected {type(error).__name__}: {error}", traceback.format_exc())


def _note(folder: Path, job: Job, reason: str, details: str = "") -> None:
    with written_whole(dropped_file(folder, job.subject)) as temporary:
        temporary.write_text(json.dumps({"reason": reason, "details": details}), encoding="utf-8")


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables for the processes that start inside; those that the user has set stay."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that are started afresh (forking a process with threads can hang); interrupted, they stop early."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
