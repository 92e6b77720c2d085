"""The steps of preparing a dataset: from a folder of raw files to `OUT/DATASET`, or `OUT/DATASET-volumes`.

data/ixi/1.0.0                the dataset, which training reads (data/ixi-volumes/volumes)
data/ixi/quality/index.html   a page to check it
data/ixi/dropped.csv          subjects and images that were left out, with the reasons
data/ixi/work                 the subjects made so far; may be deleted when the dataset is complete
"""

import json
from dataclasses import asdict
from pathlib import Path

from input_pipeline.prepare.collect import collect
from input_pipeline.prepare.dropped import write_dropped_table
from input_pipeline.prepare.jobs import dataset_jobs, settings_of
from input_pipeline.prepare.quality_page import write_quality_page
from input_pipeline.prepare.run_jobs import run_jobs
from input_pipeline.prepare.tfds_builder import write_tfds
from input_pipeline.prepare.write_volumes import volumes_of_record, write_volumes
from input_pipeline.raw.datasets import Dataset
from input_pipeline.slices.settings import COUNTS, PrepareSettings
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.files.folder_lock import locked


def prepare_dataset(
    dataset: Dataset,
    raw: Path | None,
    out: Path,
    settings: PrepareSettings,
    *,
    workers: int | None = None,
    shard: tuple[int, int] | None = None,
    command: str = "",
) -> Path:
    """Prepares a dataset. An earlier version of it is replaced once the new one is complete.

    Args:
        dataset: one of `raw.datasets.DATASETS`.
        raw: folder of its raw files; None if it needs none.
        out: folder of prepared datasets.
        settings: how to prepare it.
        workers: processes; None: one for each core.
        shard: `(i, n)` makes only every n-th subject from the i-th on (i counts from 1), for a cluster's job array; a
            later call without it completes the dataset.
        command: command line to show on the quality page.

    Returns:
        The dataset's folder, `OUT/DATASET` or `OUT/DATASET-volumes`.

    Raises:
        InputError: no subject was found, or none could be prepared, or the folder holds subjects that were prepared
            with other settings, or another run is using it, or the machine is at fault (`run_jobs`).
    """
    folder = out / (f"{dataset.name}-volumes" if settings.volumes else dataset.name)
    jobs, dropped = dataset_jobs(dataset, raw, folder, settings)
    with locked(folder / ".lock", shared=shard is not None):
        _keep_settings(folder, dataset, settings)
        run_jobs(jobs[shard[0] - 1 :: shard[1]] if shard else jobs, folder, raw=raw, workers=workers)
        _keep_settings(folder, dataset, settings)  # another part of a cluster's job array may have changed them
        if shard:
            return folder
        prepared = collect(dataset.name, jobs, folder, dropped, volumes=settings.volumes)
        if settings.volumes:
            write_volumes(folder, prepared.index, map(volumes_of_record, prepared.records()))
        else:
            write_tfds(dataset, prepared)
        write_dropped_table(folder / "dropped.csv", prepared.dropped)
        write_quality_page(prepared, title=folder.name, command=command)
    return folder


def _keep_settings(folder: Path, dataset: Dataset, settings: PrepareSettings) -> None:
    """Writes down the settings of the subjects in the folder. Raises InputError if they were made with others."""
    names = [name for name in settings_of(dataset.name, volumes=settings.volumes) if name not in COUNTS]
    values, defaults = ({name: asdict(each)[name] for name in names} for each in (settings, PrepareSettings()))
    text = json.dumps(values, default=str, sort_keys=True)
    path = folder / "work/settings.json"
    if path.exists():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            # A setting that an earlier version did not have is at its default.
            same = _resolved(defaults | before) == _resolved(defaults | json.loads(text))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path}: cannot be read ({error}); delete {path.parent} and run again") from None
        if same:
            return
        if any((folder / "work/subjects").glob("*.npz")):
            was = json.dumps(before, sort_keys=True)
            raise InputError(f"{folder}: was prepared with {was}, expected the same or another --out, not {text}")
    path.parent.mkdir(exist_ok=True)
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _resolved(settings: dict) -> dict:
    """The settings, with the same text for the same folder."""
    folder = settings.get("segmentations")
    return settings | {"segmentations": folder and str(Path(folder).resolve())}
