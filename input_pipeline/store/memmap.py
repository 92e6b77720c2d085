"""A prepared dataset unpacked for training: all slices in three arrays on disk, for random access without decoding.

A record is compressed and holds all images of a subject, but an episode needs one or two images of many subjects. The
arrays are mapped into memory: the page cache keeps what fits, the rest is read from disk.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from input_pipeline.space.grid import SLICE_SHAPE
from input_pipeline.store.records import SliceStore
from neuralizer_jax.errors import InputError

_ARRAYS = ("images", "labels", "masks")


@dataclass(frozen=True, eq=False)
class UnpackedSlices:
    """The slices of a dataset, subject after subject in the order of its index, S slices each.

    Attributes:
        index: the dataset's (`prepare.collect.PreparedDataset.index`).
        images: `[n, 192, 192]` uint16, 0 to 65535 for [0, 1]: for each subject and modality its S slices.
        labels: `[m, 192, 192]` uint16: for each subject and protocol, in the order of `label_sources`, its S slices.
        masks: `[k, 192, 192]` uint8, brain masks, 0 or 1: for each subject its S slices.
        first_image: `[subjects]` row of each subject's first image.
        first_labels: `[subjects]` row of each subject's first label map.
        first_mask: `[subjects]` row of each subject's first mask.
    """

    index: list[dict]
    images: np.ndarray
    labels: np.ndarray
    masks: np.ndarray
    first_image: np.ndarray
    first_labels: np.ndarray
    first_mask: np.ndarray


def open_unpacked(folder: Path) -> UnpackedSlices:
    """Opens the arrays in `OUT/DATASET/unpacked`, and first makes them if they are missing or outdated.

    Raises:
        InputError: the folder holds no dataset, or cannot be written.
    """
    store = SliceStore(folder)
    unpacked = store.folder / "unpacked"
    fingerprint = hashlib.sha256(json.dumps(store.index, sort_keys=True).encode() + store.fingerprint()).hexdigest()
    if _read_text(unpacked / "dataset.txt") != fingerprint:
        _unpack(store, unpacked, fingerprint)
    counts = _counts(store.index)
    starts = np.concatenate([np.zeros((1, 3), np.int64), counts.cumsum(0)])
    try:
        # Plain arrays on the mapped files: numpy.memmap is slow to index.
        arrays = [np.asarray(np.load(unpacked / f"{name}.npy", mmap_mode="r")) for name in _ARRAYS]
    except (OSError, ValueError) as error:
        raise InputError(f"{unpacked}: cannot be read ({error}); delete it, and it will be made again") from None
    if any(len(array) != count for array, count in zip(arrays, starts[-1], strict=True)):
        raise InputError(f"{unpacked}: is damaged; delete it, and it will be made again")
    return UnpackedSlices(store.index, *arrays, *starts[:-1].T)


def _counts(index: list[dict]) -> np.ndarray:
    """Number of images, label maps and masks of each subject `[subjects, 3]`."""
    rows = [
        (len(entry["y"]) * len(entry["modalities"]), len(entry["y"]) * len(entry["label_sources"]), len(entry["y"]))
        for entry in index
    ]
    return np.array(rows, np.int64)


def _unpack(store: SliceStore, unpacked: Path, fingerprint: str) -> None:
    temporary = unpacked.with_name(f".unpacked-{os.getpid()}")
    totals = _counts(store.index).sum(0)
    try:
        temporary.mkdir()
        images, labels, masks = (
            np.lib.format.open_memmap(temporary / f"{name}.npy", "w+", dtype, (int(total), *SLICE_SHAPE))
            for name, dtype, total in zip(_ARRAYS, (np.uint16, np.uint16, np.uint8), totals, strict=True)
        )
        places = np.zeros(3, np.int64)
        for subject in store.subjects():
            record = store.read(subject)
            own = (record.images, record.labels, record.brain_mask[None])
            for number, (array, values) in enumerate(zip((images, labels, masks), own, strict=True)):
                rows = values.reshape(-1, *SLICE_SHAPE)
                array[places[number] : places[number] + len(rows)] = rows
                places[number] += len(rows)
        for array in (images, labels, masks):
            array.flush()
        (temporary / "dataset.txt").write_text(fingerprint)
        if unpacked.exists() and _read_text(unpacked / "dataset.txt") != fingerprint:
            shutil.rmtree(unpacked)
        if not unpacked.exists():  # another process may have made it meanwhile
            os.replace(temporary, unpacked)
    except OSError as error:
        raise InputError(
            f"{unpacked}: cannot be written ({error.strerror or error}), expected free space for it"
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read_text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
