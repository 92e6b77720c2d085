"""A dataset of random slices on disk, written by the steps of preparation without aligning or synthesising anything."""

from functools import partial

import numpy as np
import pytest

from input_pipeline.prepare.collect import collect
from input_pipeline.prepare.run_jobs import run_jobs
from input_pipeline.prepare.tfds_builder import write_tfds
from input_pipeline.raw.datasets import DATASETS
from input_pipeline.slices.job import Job, MadeSubject
from input_pipeline.slices.record import SubjectRecord
from input_pipeline.space.grid import SLICE_SHAPE

MODALITIES = ("T1", "T2")


def made(seed, slices):
    rng = np.random.default_rng(seed)
    return MadeSubject(
        SubjectRecord(
            dataset="phantom",
            subject=f"s{seed}",
            person=f"s{seed}",
            split="",
            age=None,
            sex="F",
            y=np.arange(-17, slices - 17).astype(np.int16),
            modalities=MODALITIES,
            images=rng.integers(0, 65536, (2, slices, *SLICE_SHAPE)).astype(np.uint16),
            coverage=np.ones((2, slices), np.float32),
            to_mni=np.tile(np.eye(4), (2, 1, 1)),
            protocols=("freesurfer",),
            labels=rng.integers(0, 60, (1, slices, *SLICE_SHAPE)).astype(np.uint16),
            label_sources=("synthetic",),
            brain_mask=rng.random((slices, *SLICE_SHAPE)) < 0.5,
            mask_source="synthetic",
            skull_stripped=False,
            alignment="none",
        )
    )


def write_dataset(folder, slices=(1, 3, 2, 1)):
    """One subject for each number of slices."""
    jobs = [Job(f"s{seed}", f"s{seed}", partial(made, seed, count)) for seed, count in enumerate(slices)]
    run_jobs(jobs, folder, workers=1)
    write_tfds(DATASETS["phantom"], collect("phantom", jobs, folder, {}))
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "phantom")


@pytest.fixture(scope="session")
def records(folder):
    """The records as they were made."""
    return {f"s{seed}": made(seed, count).record for seed, count in enumerate((1, 3, 2, 1))}


@pytest.fixture
def another(tmp_path):
    return write_dataset(tmp_path / "phantom", slices=(2, 1))


@pytest.fixture(scope="session")
def rewrite():
    return write_dataset
