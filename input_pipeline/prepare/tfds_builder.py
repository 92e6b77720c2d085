"""The prepared subjects as a TFDS dataset in array_record, written without TensorFlow."""

import contextlib
import io
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from input_pipeline.prepare.collect import PreparedDataset
from input_pipeline.raw.datasets import Dataset
from input_pipeline.slices.record import SPLITS, to_example
from input_pipeline.space.grid import SLICE_SHAPE
from neuralizer_jax.errors import OutputError
from neuralizer_jax.files.atomic_file import replace_folder


def builder_class(dataset: Dataset) -> type[tfds.core.GeneratorBasedBuilder]:
    """The TFDS class of a dataset: its name and description come from the table of datasets."""
    return type(
        dataset.name.capitalize(),
        (_SliceBuilder,),
        {"name": dataset.name, "__doc__": dataset.description, "__module__": __name__},
        skip_registration=True,
    )


def write_tfds(dataset: Dataset, prepared: PreparedDataset) -> Path:
    """Writes `FOLDER/1.0.0`; an earlier one is replaced when the new one is complete.

    Returns:
        Its path.

    Raises:
        OutputError: it cannot be written.
    """
    staging = prepared.folder / "work/written"
    shutil.rmtree(staging, ignore_errors=True)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints progress of its own
            builder = builder_class(dataset)(data_dir=staging, file_format="array_record", prepared=prepared)
            builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
        written = Path(builder.data_path)
        final = prepared.folder / written.name
        replace_folder(written, final)
    except (OSError, RuntimeError) as error:  # array_record raises RuntimeError if the disk is full
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{prepared.folder}: cannot be written ({reason})") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return final


class _SliceBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]  # untyped base
    """Writes one example for each subject, with the fields of `slices.record.SubjectRecord`."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, prepared: PreparedDataset, **kwargs):
        self._prepared = prepared
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features
        packed = features.Encoding.ZLIB
        images = features.Tensor(shape=(None, None, *SLICE_SHAPE), dtype=np.uint16, encoding=packed)
        texts = features.Sequence(features.Text())
        number = features.Scalar(np.float32)
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
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
                    "brain_mask": features.Tensor(shape=(None, *SLICE_SHAPE), dtype=np.uint8, encoding=packed),
                    "skull_stripped": features.Scalar(np.bool_),
                }
            ),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        index = self._prepared.index
        self.info.metadata["windows"] = {name: asdict(window) for name, window in self._prepared.windows.items()}
        self.info.metadata["subjects"] = index
        splits = [split for split in SPLITS if any(entry["split"] == split for entry in index)]
        return {split: self._generate_examples(split) for split in splits}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict]]:
        yield from enumerate(map(to_example, self._prepared.records(split)))
