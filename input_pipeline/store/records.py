"""Reads the subjects of a prepared dataset in any order, without TensorFlow."""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from input_pipeline.slices.record import SubjectRecord, from_example
from input_pipeline.store.volumes import holds_volumes
from neuralizer_jax.errors import InputError


class SliceStore:
    """The subjects of a dataset that `neuralizer prepare` wrote. Can be pickled and read from any thread or process.

    Attributes:
        folder: the dataset's, `OUT/DATASET`.
        index: what is known of each subject without reading its images (`prepare.collect.PreparedDataset.index`).
    """

    def __init__(self, folder: Path):
        """Opens the dataset. Raises InputError if the folder holds none."""
        self.folder = Path(folder)
        versions = sorted(self.folder.glob("*/dataset_info.json"))
        if not versions:
            if holds_volumes(self.folder):
                raise InputError(f"{self.folder}: holds volumes, expected a dataset of slices")
            raise InputError(f"{self.folder}: no prepared dataset, expected a folder that `neuralizer prepare` wrote")
        self._version = versions[-1].parent
        try:
            metadata = json.loads((self._version / "metadata.json").read_text(encoding="utf-8"))
            self.index: list[dict] = metadata["subjects"]
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"{self._version}: damaged ({error}), expected a dataset that `neuralizer prepare` wrote"
            ) from None
        self._places = {
            subject: (split, place)
            for split in {entry["split"] for entry in self.index}
            for place, subject in enumerate(self.subjects(split))
        }

    def subjects(self, split: str | None = None) -> tuple[str, ...]:
        """Ids of the subjects in a split, `train`, `val` or `test`; None: of all subjects."""
        return tuple(entry["subject"] for entry in self.index if split in (None, entry["split"]))

    def read(self, subject: str) -> SubjectRecord:
        """Reads a subject's record. Raises KeyError for an unknown id."""
        split, place = self._places[subject]
        return from_example(self._sources[split][place])

    def fingerprint(self) -> bytes:
        """Bytes that change when the dataset is written again."""
        files = sorted(self._version.iterdir())
        return repr([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]).encode()

    def __getstate__(self) -> dict:
        """Without the open files."""
        return {name: value for name, value in vars(self).items() if name != "_sources"}

    @cached_property
    def _sources(self) -> dict[str, Sequence]:
        import tensorflow_datasets as tfds  # slow to import, and the index is often enough

        builder = tfds.builder_from_directory(self._version)
        return {split: builder.as_data_source(split=split) for split in builder.info.splits}
