"""What is wrong with the machine ends the run, and is never written down as a fault of a subject."""

import errno
import gzip
import os
from dataclasses import replace
from pathlib import Path

import pytest

from input_pipeline.prepare.jobs import dataset_jobs
from input_pipeline.prepare.run_jobs import dropped_file, dropped_reason, run_jobs, subject_file
from input_pipeline.raw.datasets import DATASETS
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
