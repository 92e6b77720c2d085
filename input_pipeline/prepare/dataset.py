"""A dataset from a folder of raw files: `OUT/DATASET/1.0.0`, its quality page and the table of what was left out."""

import contextlib
import io
import shutil
from pathlib import Path

import tensorflow_datasets as tfds

from input_pipeline.prepare.tfds_builder import SliceDataset
from input_pipeline.slices.settings import PrepareSettings


def prepare_dataset(
    builder: type[SliceDataset],
    raw: Path | None,
    out: Path,
    settings: PrepareSettings,
    *,
    workers: int | None = None,
    command: str = "",
) -> Path:
    """Prepares a dataset and puts it in the place of an earlier one when it is complete.

    Args:
        builder: of the dataset.
        raw: folder of its raw files; None where it has none.
        out: folder of datasets.
        settings: how.
        workers: processes; None: one a core.
        command: shown on the quality page.

    Returns:
        The dataset's folder, `OUT/DATASET`.

    Raises:
        InputError: where there is nothing to prepare, or nothing could be, or the folder holds what was prepared in
            another way.
    """
    folder = out / builder.name
    builder.jobs(raw, folder, settings)  # says what is wrong before anything is written
    staging = folder / "work/written"
    shutil.rmtree(staging, ignore_errors=True)
    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS reports on its own
        made = builder(
            data_dir=staging, file_format="array_record", settings=settings, workers=workers, folder=folder,
            command=command,
        )  # fmt: skip
        made.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=raw, try_download_gcs=False))
    final, replaced = folder / made.data_path.name, staging / "replaced"
    if final.exists():
        final.rename(replaced)
    Path(made.data_path).rename(final)
    shutil.rmtree(staging)
    return folder
