"""The prepared subjects of a dataset together: splits, intensity windows, index, and the examples to store."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from input_pipeline.prepare.dropped import Dropped
from input_pipeline.prepare.run_jobs import dropped_reason, load_subject, subject_file
from input_pipeline.prepare.splits import split_subjects
from input_pipeline.prepare.write_volumes import label_voxels, stored_protocols
from input_pipeline.slices.job import Job
from input_pipeline.slices.record import SubjectRecord, quantize
from input_pipeline.space.modalities import series_of
from neuralizer_jax.errors import InputError
from neuralizer_jax.intensity import Window, apply_window, dataset_windows, foreground_median


@dataclass(frozen=True, eq=False)
class PreparedDataset:
    """The subjects that are kept, and what was left out.

    Attributes:
        folder: the dataset's, which holds the subjects made by `run_jobs`.
        windows: intensities that become 0 and 1, for each modality; empty if the images are in [0, 1] already.
        index: what is known of each subject without reading its images, in JSON types: ids, split, slices `y`,
            modalities, label sources, alignment, and `label_pixels`: protocol -> label -> pixels in each slice. An
            entry of volumes has no `y`, and `label_voxels`: protocol -> label -> voxels.
        dropped: subjects and images that were left out.
        chosen: for each subject, which files were taken where several could be meant (`RawSubject.chosen`).
    """

    folder: Path
    windows: dict[str, Window]
    index: list[dict]
    dropped: list[Dropped]
    chosen: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def records(self, split: str | None = None) -> Iterator[SubjectRecord]:
        """The records of a split, or of all subjects, in the order of the index, images in uint16."""
        for entry in self.index:
            if split in (None, entry["split"]):
                made = load_subject(self.folder, entry["subject"])
                record = replace(made.record, split=entry["split"])
                yield record if made.quantiles is None else self._scaled(record, made.quantiles)

    def _scaled(self, record: SubjectRecord, quantiles: np.ndarray) -> SubjectRecord:
        windows = [self.windows[series_of(modality)] for modality in record.modalities]
        images = [
            quantize(apply_window(image / foreground_median(volume), window))
            for image, volume, window in zip(record.images, quantiles, windows, strict=True)
        ]
        return replace(record, images=np.stack(images))


def collect(
    dataset: str, jobs: Sequence[Job], folder: Path, dropped: dict[str, str], *, volumes: bool = False
) -> PreparedDataset:
    """Splits the subjects that were made, and measures intensity windows on the training subjects.

    Args:
        dataset: its name.
        jobs: all jobs of the dataset, each either made or dropped by `run_jobs`.
        folder: the dataset's.
        dropped: what `discover` dropped, with the reasons.
        volumes: whether the subjects are volumes.

    Raises:
        InputError: no subject could be prepared.
    """
    kept: list[Job] = []
    left_out = [Dropped(name, "", reason) for name, reason in dropped.items()]
    for job in jobs:
        if subject_file(folder, job.subject).exists():
            kept.append(job)
        else:
            left_out.append(Dropped(job.subject, "", dropped_reason(folder, job.subject)))
    if not kept:
        first = left_out[len(dropped)].reason
        raise InputError(f"{dataset}: none of {len(jobs)} subjects could be prepared; the first: {first}")
    splits = split_subjects(dataset, {job.subject: job.person for job in kept})
    index = []
    chosen = {}
    training: list[tuple[str, np.ndarray]] = []
    others: list[tuple[str, np.ndarray]] = []
    for job in kept:
        made = load_subject(folder, job.subject)
        entry = _volumes_entry(made.record) if volumes else _slices_entry(made.record)
        index.append(_entry(made.record, splits[job.subject]) | entry)
        chosen[job.subject] = job.chosen
        left_out += [Dropped(job.subject, image, reason) for image, reason in made.dropped.items()]
        if made.quantiles is not None:
            measured = training if splits[job.subject] == "train" else others
            measured += zip(map(series_of, made.record.modalities), made.quantiles, strict=True)
    # A modality without training subjects is measured on the others.
    windows = dataset_windows(others) | dataset_windows(training)
    return PreparedDataset(folder, windows, index, left_out, chosen)


def _entry(record: SubjectRecord, split: str) -> dict:
    return {
        "subject": record.subject,
        "person": record.person,
        "split": split,
        "modalities": list(record.modalities),
        "mask_source": record.mask_source,
        "skull_stripped": record.skull_stripped,
        "alignment": record.alignment,
        "residual_mm": record.residual_mm,
        "mutual_information": record.mutual_information,
    }


def _slices_entry(record: SubjectRecord) -> dict:
    return {
        "y": record.y.tolist(),
        "label_sources": dict(zip(record.protocols, record.label_sources, strict=True)),
        "label_pixels": {
            protocol: _label_pixels(labels) for protocol, labels in zip(record.protocols, record.labels, strict=True)
        },
        "coverage": float(record.coverage.min()),
    }


def _volumes_entry(record: SubjectRecord) -> dict:
    """Without the template's labels, from which no episode is made; coverage is that of the whole brain."""
    kept = stored_protocols(record)
    brain = record.brain_mask.sum(axis=(1, 2))
    return {
        "label_sources": {protocol: record.label_sources[place] for protocol, place in kept.items()},
        "label_voxels": {protocol: label_voxels(record.labels[place]) for protocol, place in kept.items()},
        "coverage": float((record.coverage @ brain / brain.sum()).min(initial=1)),
    }


def _label_pixels(labels: np.ndarray) -> dict[str, list[int]]:
    """Pixels of each label, except 0, in each of the slices `[S, H, W]`."""
    values = [int(value) for value in np.unique(labels) if value]
    return {str(value): np.count_nonzero(labels == value, axis=(1, 2)).tolist() for value in values}
