"""A dataset's subjects put together: splits, intensity windows, index, and the examples to be stored."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from input_pipeline.prepare.quality_page import Dropped
from input_pipeline.prepare.run_jobs import dropped_reason, load_subject, subject_file
from input_pipeline.prepare.splits import split_subjects
from input_pipeline.slices.job import Job
from input_pipeline.slices.record import SubjectRecord, to_example, to_steps
from input_pipeline.space.modalities import series_of
from neuralizer_jax.errors import InputError
from neuralizer_jax.intensity import Window, apply_window, dataset_windows, foreground_median


@dataclass(frozen=True, eq=False)
class PreparedDataset:
    """The subjects of a dataset that are of use, and what was left out.

    Attributes:
        folder: the dataset's, in which the subjects were made.
        windows: what goes to 0 and to 1 in each modality; empty where images are in [0, 1] from the start.
        index: of each subject what is known without reading its images, in JSON's types: ids, split, modalities,
            label maps with their sources, alignment, and `label_pixels`: protocol -> label -> pixels in each slice.
        dropped: subjects and images that were left out.
    """

    folder: Path
    windows: dict[str, Window]
    index: list[dict]
    dropped: list[Dropped]

    def examples(self, split: str) -> Iterator[dict]:
        """The examples of a split (`subject_record.to_example`), images in uint16, in the order of the index."""
        for entry in self.index:
            if entry["split"] == split:
                made = load_subject(self.folder, entry["subject"])
                record = replace(made.record, split=split)
                yield to_example(record if made.quantiles is None else self._scaled(record, made.quantiles))

    def _scaled(self, record: SubjectRecord, quantiles: np.ndarray) -> SubjectRecord:
        windows = [self.windows[series_of(modality)] for modality in record.modalities]
        images = [
            to_steps(apply_window(image / foreground_median(volume), window))
            for image, volume, window in zip(record.images, quantiles, windows, strict=True)
        ]
        return replace(record, images=np.stack(images))


def collect(dataset: str, jobs: Sequence[Job], folder: Path, dropped: dict[str, str]) -> PreparedDataset:
    """Puts the made subjects together: splits are drawn over those that are kept, windows measured in training.

    Args:
        dataset: its name.
        jobs: all of the dataset, each made or dropped (`prepare_subjects`).
        folder: of the dataset.
        dropped: what discovery passed over, with the reason.

    Raises:
        InputError: where no subject is left.
    """
    kept, missing = [], []
    for job in jobs:
        (kept if subject_file(folder, job.subject).exists() else missing).append(job)
    left_out = [Dropped(name, "", reason) for name, reason in dropped.items()]
    left_out += [Dropped(job.subject, "", dropped_reason(folder, job.subject)) for job in missing]
    if not kept:
        raise InputError(f"{dataset}: none of {len(jobs)} subjects could be prepared; the first: {left_out[-1].reason}")
    splits = split_subjects(dataset, {job.subject: job.person for job in kept})
    index, training, others = [], [], []
    for job in kept:
        made = load_subject(folder, job.subject)
        index.append(_entry(made.record, splits[job.subject]))
        left_out += [Dropped(job.subject, image, reason) for image, reason in made.dropped.items()]
        if made.quantiles is not None:
            volumes = training if splits[job.subject] == "train" else others
            volumes += zip(map(series_of, made.record.modalities), made.quantiles, strict=True)
    # A modality that no training subject has is measured on the others.
    windows = dataset_windows(others) | dataset_windows(training)
    return PreparedDataset(folder, windows, index, left_out)


def _entry(record: SubjectRecord, split: str) -> dict:
    return {
        "subject": record.subject,
        "person": record.person,
        "split": split,
        "y": record.y.tolist(),
        "modalities": list(record.modalities),
        "label_sources": dict(zip(record.protocols, record.label_sources, strict=True)),
        "label_pixels": {
            protocol: _label_pixels(labels) for protocol, labels in zip(record.protocols, record.labels, strict=True)
        },
        "mask_source": record.mask_source,
        "skull_stripped": record.skull_stripped,
        "alignment": record.alignment,
        "residual_mm": record.residual_mm,
        "mutual_information": record.mutual_information,
        "coverage": float(record.coverage.min()),
    }


def _label_pixels(labels: np.ndarray) -> dict[str, list[int]]:
    """Pixels of each label but 0 in each of the slices `[S, 192, 192]`."""
    values = [int(value) for value in np.unique(labels) if value]
    return {str(value): np.count_nonzero(labels == value, axis=(1, 2)).tolist() for value in values}
