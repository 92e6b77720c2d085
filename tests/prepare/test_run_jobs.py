"""What is wrong with the machine ends the run, and is never written down as a fault of a subject."""

import errno
import fcntl
import gzip
import os
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from input_pipeline.prepare.jobs import dataset_jobs
from input_pipeline.prepare.run_jobs import dropped_file, dropped_reason, run_jobs, subject_file
from input_pipeline.raw.datasets import DATASETS
from input_pipeline.slices.job import Job
from input_pipeline.slices.settings import PrepareSettings
from neuralizer_jax.errors import InputError, OutputError


@pytest.fixture(scope="module")
def job():
    """A subject of the phantom, made once."""
    first = dataset_jobs(DATASETS["phantom"], None, Path(), PrepareSettings(subjects=1))[0][0]
    made = first.make()
    return replace(first, make=lambda: made)


def raising(error):
    def make():
        raise error

    return make


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EIO, "Input/output error", "T1.nii.gz"), "^T1.nii.gz: Input/output error; finished subjects"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files; finished subjects are kept"),
        (OSError(errno.ESTALE, "Stale file handle", "T1.nii.gz"), "Stale file handle; finished subjects are kept"),
        (OutputError("seg.nii.gz: cannot be written (No space left on device)"), "^seg.nii.gz: cannot be written"),
        (MemoryError(), "out of memory: run again with fewer --workers"),
        (ImportError("libz.so: cannot open shared object file"), "libz.so: cannot open shared object file"),
    ],
)
def test_faults_of_the_machine(job, tmp_path, error, message):
    with pytest.raises(InputError, match=message):
        run_jobs([replace(job, make=raising(error))], tmp_path, workers=1)
    assert not dropped_file(tmp_path, job.subject).exists()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (InputError("T1.nii.gz: is truncated"), "T1.nii.gz: is truncated"),
        (gzip.BadGzipFile("CRC check failed"), "unexpected BadGzipFile: CRC check failed"),
    ],
)
def test_faults_of_a_subject(job, tmp_path, error, reason):
    run_jobs([replace(job, make=raising(error))], tmp_path, workers=1)
    assert dropped_reason(tmp_path, job.subject) == reason


@pytest.mark.parametrize("most", [1000, 200_000], ids=["picture", "subject"])
def test_a_full_disk(job, tmp_path, full_disk, most):
    with full_disk(most), pytest.raises(InputError, match=r"cannot be written \(File too large\)"):
        run_jobs([job], tmp_path, workers=1)
    assert not subject_file(tmp_path, job.subject).exists()
    assert not dropped_file(tmp_path, job.subject).exists()
    run_jobs([job], tmp_path, workers=1)
    assert subject_file(tmp_path, job.subject).exists()
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]


def test_a_disk_that_is_gone(job, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    lost = replace(job, make=raising(InputError("T1.nii.gz: cannot be opened (No such file or directory)")))
    with pytest.raises(InputError, match="raw: is empty, although files were found in it"):
        run_jobs([lost], tmp_path / "out", raw=raw, workers=1)
    assert not dropped_file(tmp_path / "out", job.subject).exists()
    (raw / "other.nii.gz").touch()
    run_jobs([lost], tmp_path / "out", raw=raw, workers=1)
    assert "No such file" in dropped_reason(tmp_path / "out", job.subject)


def test_a_worker_that_is_killed(job, tmp_path):
    jobs = [replace(job, subject=name, make=_die) for name in ("a", "b")]
    with pytest.raises(InputError, match="a worker process died, most likely out of memory: run again with fewer"):
        run_jobs(jobs, tmp_path, workers=2)
    assert not list((tmp_path / "work/dropped").iterdir())


def _die():
    os.kill(os.getpid(), 9)


def test_workers_end_with_a_killed_parent(tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", "import sys, test_run_jobs; test_run_jobs.run_for_ever(sys.argv[1])", tmp_path],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
    )
    locks = [tmp_path / name for name in ("a", "b")]
    wait_until(lambda: all(path.exists() and not is_free(path) for path in locks))
    parent.kill()
    parent.wait()
    wait_until(lambda: all(map(is_free, locks)))


def run_for_ever(folder):
    folder = Path(folder)
    jobs = [Job(name, name, partial(_hold, folder / name)) for name in ("a", "b")]
    run_jobs(jobs, folder / "out", workers=2)


def _hold(path):
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        time.sleep(120)


def is_free(path):
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def wait_until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
