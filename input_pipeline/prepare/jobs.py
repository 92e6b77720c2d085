"""From a dataset's raw files to its jobs: one for each subject to prepare."""

from collections.abc import Sequence
from pathlib import Path

from input_pipeline.raw.datasets import Dataset
from input_pipeline.raw.derivatives import index_segmentations
from input_pipeline.slices.from_labelmaps import labelmap_jobs, phantom_jobs
from input_pipeline.slices.from_scans import scan_jobs
from input_pipeline.slices.job import Job
from input_pipeline.slices.settings import PrepareSettings
from neuralizer_jax.errors import InputError

_SCANS = ("volumes", "slices", "segmentations", "align")
_SYNTHESIS = {
    "labelmaps": ("volumes", "slices", "subjects_per_map", "swap_hemispheres", "skull_stripped", "seed"),
    "phantom": ("volumes", "slices", "subjects", "skull_stripped", "seed"),
}

# Settings that mean nothing for volumes: training cuts the slices, and synthesises images of label maps.
_OF_SLICES = ("slices", "skull_stripped")


def settings_of(dataset: str, *, volumes: bool) -> tuple[str, ...]:
    """The fields of `PrepareSettings` that matter for a dataset of volumes or of slices."""
    names = _SYNTHESIS.get(dataset, _SCANS)
    return tuple(name for name in names if not (volumes and name in _OF_SLICES))


def dataset_jobs(
    dataset: Dataset, raw: Path | None, folder: Path, settings: PrepareSettings
) -> tuple[Sequence[Job], dict[str, str]]:
    """Discovers the subjects and makes their jobs.

    Args:
        dataset: which one.
        raw: folder of its raw files; None for a dataset that needs none.
        folder: the prepared dataset's, for segmentations that programs make.
        settings: how to prepare.

    Returns:
        The jobs, and what `discover` dropped, with the reasons.

    Raises:
        InputError: no subject was found, or a file cannot be assigned to one subject, or `raw` is missing or useless.
    """
    if dataset.discover is None:
        if raw is not None:
            raise InputError(f"--raw: is not an option of {dataset.name}, which needs no files")
        return list(phantom_jobs(settings)), {}
    if raw is None:
        how = " ".join(dataset.how_to_get.split())
        raise InputError(f"{dataset.name}: expected the folder of its raw files, --raw DIR. {how}")
    found = dataset.discover(raw)
    if dataset.name in _SYNTHESIS:
        return list(labelmap_jobs(found.subjects, settings)), found.dropped
    index = index_segmentations(settings.segmentations)
    made = folder / "work/segmentations"
    jobs = scan_jobs(found.subjects, settings.y, index=index, made=made, align_by=settings.align)
    return jobs, found.dropped
