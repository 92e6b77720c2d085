"""The TFDS builder that all datasets share: from raw files to records in array_record, without TensorFlow.

    builder = Ixi(data_dir="data", file_format="array_record")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir="raw/ixi"))

`neuralizer prepare` runs the same builder. Beside the dataset (`data/ixi/1.0.0`) lie the quality page
(`data/ixi/quality/index.html`), what was left out (`data/ixi/dropped.csv`), and `data/ixi/work`, from which an
interrupted run goes on; it may be deleted once the dataset is complete.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from input_pipeline.prepare.collect import PreparedDataset, collect
from input_pipeline.prepare.quality_page import SubjectSummary, write_dropped_table, write_quality_page
from input_pipeline.prepare.run_jobs import picture_file, prepare_subjects
from input_pipeline.raw.derivatives import index_segmentations
from input_pipeline.raw.subject import Discovery
from input_pipeline.slices.from_scans import scan_jobs
from input_pipeline.slices.job import Job
from input_pipeline.slices.settings import COUNTS, PrepareSettings
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole


class SliceDataset(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A dataset of scans. A subclass has a docstring, `MANUAL_DOWNLOAD_INSTRUCTIONS` and `discover`."""

    VERSION = tfds.core.Version("1.0.0")
    SETTINGS: ClassVar[tuple[str, ...]] = ("slices", "segmentations", "align")

    def __init__(
        self,
        *,
        settings: PrepareSettings | None = None,
        workers: int | None = None,
        folder: Path | None = None,
        command: str = "",
        **kwargs,
    ):
        """Makes the builder.

        Args:
            settings: how to prepare.
            workers: processes; None: one a core.
            folder: for the quality page and the work; None: the dataset's own, above the version's.
            command: shown on the quality page.
            **kwargs: of TFDS: `data_dir` and so on.
        """
        self._settings = settings or PrepareSettings()
        self._workers = workers
        self._command = command
        self._folder = folder
        super().__init__(**kwargs)

    @staticmethod
    def discover(root: Path) -> Discovery:
        """The subjects in a folder of raw files."""
        raise NotImplementedError

    @classmethod
    def jobs(cls, raw: Path | None, folder: Path, settings: PrepareSettings) -> tuple[list[Job], dict[str, str]]:
        """What is to be made, and what was passed over with the reason. Raises InputError where there is nothing."""
        found = cls.discover(raw)
        index = index_segmentations(settings.segmentations)
        made = folder / "work/segmentations"
        jobs = scan_jobs(found.subjects, settings.slices, index=index, made=made, align_by=settings.align)
        return jobs, found.dropped

    @classmethod
    def prepare_shard(
        cls, raw: Path | None, folder: Path, settings: PrepareSettings, *, workers: int | None, shard: tuple[int, int]
    ) -> tuple[int, int]:
        """Makes every n-th subject; returns how many of them there are, and how many there are in all."""
        number, count = shard
        jobs, _ = cls.jobs(raw, folder, settings)
        cls.keep_settings(folder, settings)
        prepare_subjects(jobs[number - 1 :: count], folder, workers=workers)
        return len(jobs[number - 1 :: count]), len(jobs)

    @classmethod
    def keep_settings(cls, folder: Path, settings: PrepareSettings) -> None:
        """Notes what the subjects in the folder are like. Raises InputError where there are others already."""
        values, defaults = (
            {name: value for name, value in asdict(every).items() if name in cls.SETTINGS and name not in COUNTS}
            for every in (settings, PrepareSettings())
        )
        text = json.dumps(values, default=str, sort_keys=True)
        path = folder / "work/settings.json"
        if path.exists():
            before = path.read_text(encoding="utf-8")
            # A setting that an earlier version did not have is at its default.
            if defaults | json.loads(before) != defaults | json.loads(text):
                raise InputError(
                    f"{folder}: was prepared with {before}, expected the same or another --out, not {text}"
                )
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features
        packed = features.Encoding.ZLIB
        images = features.Tensor(shape=(None, None, 192, 192), dtype=np.uint16, encoding=packed)
        texts = features.Sequence(features.Text())
        number = features.Scalar(np.float32)
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
            # The fields of `subject_record.SubjectRecord`.
            features=features.FeaturesDict(
                {
                    **dict.fromkeys(("dataset", "subject", "person", "split", "sex"), features.Text()),
                    **dict.fromkeys(("mask_source", "alignment"), features.Text()),
                    **dict.fromkeys(("modalities", "protocols", "label_sources"), texts),
                    **dict.fromkeys(("age", "residual_mm", "mutual_information"), number),
                    **dict.fromkeys(("images", "labels"), images),
                    "y": features.Tensor(shape=(None,), dtype=np.int16),
                    "coverage": features.Tensor(shape=(None, None), dtype=np.float32, encoding=packed),
                    "to_mni": features.Tensor(shape=(None, 4, 4), dtype=np.float64),
                    "brain_mask": features.Tensor(shape=(None, 192, 192), dtype=np.uint8, encoding=packed),
                    "skull_stripped": features.Scalar(np.bool_),
                }
            ),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        raw = Path(dl_manager.manual_dir) if self.MANUAL_DOWNLOAD_INSTRUCTIONS else None
        folder = self._folder or Path(self.data_dir).parent
        jobs, dropped = self.jobs(raw, folder, self._settings)
        self.keep_settings(folder, self._settings)
        prepare_subjects(jobs, folder, workers=self._workers)
        prepared = collect(self.name, jobs, folder, dropped)
        self._report(prepared)
        self.info.metadata["windows"] = {name: asdict(window) for name, window in prepared.windows.items()}
        self.info.metadata["subjects"] = prepared.index
        splits = [s for s in ("train", "val", "test") if any(entry["split"] == s for entry in prepared.index)]
        return {split: self._generate_examples(prepared, split) for split in splits}

    def _generate_examples(self, prepared: PreparedDataset, split: str) -> Iterator[tuple[int, dict]]:
        yield from enumerate(prepared.examples(split))

    def _report(self, prepared: PreparedDataset) -> None:
        """Writes the quality page and the table of what was left out."""
        folder = prepared.folder
        write_dropped_table(folder / "dropped.csv", prepared.dropped)
        names = ("subject", "split", "label_sources", "mask_source", "alignment", "residual_mm", "mutual_information")
        write_quality_page(
            folder / "quality",
            title=self.name,
            command=self._command,
            rows=[
                SubjectSummary(
                    **{name: entry[name] for name in names},
                    modalities=tuple(entry["modalities"]),
                    coverage_min=entry["coverage"],
                    picture=picture_file(folder, entry["subject"]).relative_to(folder / "quality").as_posix(),
                )
                for entry in prepared.index
            ],
            dropped=prepared.dropped,
            windows=prepared.windows,
        )
