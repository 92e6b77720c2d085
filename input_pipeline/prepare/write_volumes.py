"""The prepared subjects as volumes in plain arrays, which `store.volumes` maps into memory."""

import json
import shutil
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import DTypeLike

from input_pipeline.slices.record import SubjectRecord
from input_pipeline.space.grid import SHAPE, volume_of
from input_pipeline.store.arrays import new_array
from input_pipeline.store.volumes import FORMAT, PLANES, code_type, profile_file
from neuralizer_jax.errors import OutputError
from neuralizer_jax.files.atomic_file import replace_folder


@dataclass(frozen=True, eq=False)
class SubjectVolumes:
    """The volumes of one subject on the grid, in RAS order.

    Attributes:
        images: `[M, 192, 224, 192]` uint16, 0 to 65535 for [0, 1].
        labels: `[P, 192, 224, 192]` uint16.
        brain_mask: `[192, 224, 192]` bool.
    """

    images: np.ndarray
    labels: np.ndarray
    brain_mask: np.ndarray


def stored_protocols(record: SubjectRecord) -> dict[str, int]:
    """Protocol -> place in the record, of the label maps that are stored: not the template's."""
    sources = zip(record.protocols, record.label_sources, strict=True)
    return {protocol: place for place, (protocol, source) in enumerate(sources) if source != "template"}


def volumes_of_record(record: SubjectRecord) -> SubjectVolumes:
    """The volumes of a record that has all coronal planes of the grid."""
    labels = record.labels[list(stored_protocols(record).values())]
    return SubjectVolumes(*map(volume_of, (record.images, labels, record.brain_mask)))


def label_voxels(labels: np.ndarray) -> dict[str, int]:
    """Voxels of each label, except 0, of a label map.

    >>> label_voxels(np.array([[0, 17], [17, 53]], np.uint16))
    {'17': 2, '53': 1}
    """
    counts = np.bincount(labels.ravel())
    return {str(label): int(counts[label]) for label in np.flatnonzero(counts) if label}


def write_volumes(folder: Path, index: Sequence[dict], subjects: Iterable[SubjectVolumes]) -> Path:
    """Writes `FOLDER/volumes`, one subject after another; an earlier one is replaced when the new one is complete.

    Args:
        folder: the dataset's, `OUT/DATASET-volumes`.
        index: `StoredVolumes.index`.
        subjects: the volumes of each subject, in the order of the index.

    Returns:
        The path of the arrays.

    Raises:
        OutputError: it cannot be written.
    """
    staging, final = folder / "work/written", folder / "volumes"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
        _write(staging, index, subjects)
        replace_folder(staging, final)
    except OSError as error:
        raise OutputError(
            f"{final}: cannot be written ({error.strerror or error}), expected free space for it"
        ) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return final


def _write(folder: Path, index: Sequence[dict], subjects: Iterable[SubjectVolumes]) -> None:
    found: dict[str, set[int]] = {}
    for entry in index:
        for protocol, voxels in entry["label_voxels"].items():
            found.setdefault(protocol, {0}).update(map(int, voxels))
    values = {protocol: np.array(sorted(labels), np.uint16) for protocol, labels in found.items()}
    dtype = code_type(values)
    codes = {protocol: np.zeros(2**16, dtype) for protocol in values}
    for protocol, labels in values.items():
        codes[protocol][labels] = np.arange(len(labels))

    with ExitStack() as files:

        def new(name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> BinaryIO:
            return files.enter_context(new_array(folder / name, dtype, shape))

        count = [sum(len(entry[name]) for entry in index) for name in ("modalities", "label_sources")]
        images = new("images.npy", np.uint16, (count[0], *SHAPE))
        label_maps = new("labels.npy", dtype, (count[1], *SHAPE))
        masks = new("masks.npy", np.uint8, (len(index), *SHAPE))
        profiles = {
            protocol: new(profile_file(folder, protocol).name, np.uint16, (len(index), 3, PLANES, len(labels)))
            for protocol, labels in values.items()
        }
        for entry, subject in zip(index, subjects, strict=True):
            images.write(np.ascontiguousarray(subject.images, "<u2").data)
            own = dict(zip(entry["label_sources"], subject.labels, strict=True))
            for protocol, labels in own.items():
                label_maps.write(np.ascontiguousarray(codes[protocol][labels]).data)
            for protocol, file in profiles.items():
                profile = _profile(codes[protocol][own[protocol]] if protocol in own else None, len(values[protocol]))
                file.write(profile.data)
            masks.write(np.ascontiguousarray(subject.brain_mask, np.uint8).data)
    text = {"format": FORMAT, "label_values": {name: each.tolist() for name, each in values.items()}}
    (folder / "index.json").write_text(json.dumps(text | {"subjects": list(index)}), encoding="utf-8")


def _profile(labels: np.ndarray | None, codes: int) -> np.ndarray:
    """Voxels of each code in each plane along each axis `[3, 224, codes]` uint16; zeros without labels."""
    profile = np.zeros((3, PLANES, codes), "<u2")
    if labels is not None:
        for axis, length in enumerate(labels.shape):
            planes = np.arange(length).reshape([-1 if own == axis else 1 for own in range(3)])
            counts = np.bincount((planes * codes + labels).ravel(), minlength=length * codes)
            profile[axis, :length] = counts.reshape(length, codes)
    return profile
