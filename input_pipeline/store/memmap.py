"""A prepared dataset unpacked for training: all slices in three arrays on disk, for random access without decoding.

A record is compressed and holds all images of a subject, but an episode needs one or two images of many subjects. The
arrays are mapped into memory: the page cache keeps what fits, the rest is read from disk.
"""

import errno
import hashlib
import json
import math
import os
import shutil
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from input_pipeline.space.grid import SLICE_SHAPE
from input_pipeline.store.arrays import mapped_array, new_array
from input_pipeline.store.records import SliceStore
from neuralizer_jax.compilation_cache import user_cache
from neuralizer_jax.errors import InputError, OutputError
from neuralizer_jax.files.atomic_file import replace_folder, temporary_beside
from neuralizer_jax.files.folder_lock import locked

_ARRAYS = {"images": np.uint16, "labels": np.uint16, "masks": np.uint8}

# Arrays of datasets that cannot be written beside, in the user's cache. They are deleted when they were not used for
# long.
_CACHE = "unpacked"
_KEPT_DAYS = 30

_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


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
    """Opens the arrays of a dataset, and first makes them if they are missing or outdated.

    They lie in `OUT/DATASET/unpacked`, or in the user's cache if that folder cannot be written. Processes that need the
    same arrays at the same time wait for the first.

    Raises:
        InputError: the folder holds no dataset, or there is no place to unpack it.
    """
    store = SliceStore(folder)
    fingerprint = hashlib.sha256(json.dumps(store.index, sort_keys=True).encode() + store.fingerprint()).hexdigest()
    unpacked = _find_or_unpack(store, fingerprint)
    counts = _counts(store.index)
    starts = np.concatenate([np.zeros((1, 3), np.int64), counts.cumsum(0)])
    try:
        arrays = [mapped_array(unpacked / f"{name}.npy") for name in _ARRAYS]
    except (OSError, ValueError) as error:
        raise InputError(f"{unpacked}: cannot be read ({error}); delete it, and it will be made again") from None
    if any(len(array) != count for array, count in zip(arrays, starts[-1], strict=True)):
        raise InputError(f"{unpacked}: is damaged; delete it, and it will be made again")
    return UnpackedSlices(store.index, *arrays, *starts[:-1].T)


def _find_or_unpack(store: SliceStore, fingerprint: str) -> Path:
    """The folder of the arrays: beside the dataset, or in the user's cache, by the fingerprint of what it holds."""
    places = [store.folder / "unpacked"]
    with suppress(RuntimeError):  # the user has no home
        places.append(user_cache() / _CACHE / fingerprint[:32])
    if found := next((place for place in places if _is_complete(place, fingerprint)), None):
        with suppress(OSError):
            os.utime(found / "dataset.txt")  # in use
        return found
    for place in places:
        try:
            with locked(place.parent / ".unpacked.lock", wait=True) as alone:
                if not _is_complete(place, fingerprint):  # made by another process meanwhile
                    _clean(place, alone)
                    _unpack(store, place, fingerprint)
            return place
        except OutputError as error:
            if not isinstance(error.__cause__, OSError) or error.__cause__.errno not in _READ_ONLY:
                raise
    size = (_counts(store.index).sum(0) * [np.dtype(dtype).itemsize for dtype in _ARRAYS.values()]).sum()
    raise OutputError(
        f"{' and '.join(map(str, places))}: cannot be written, expected a folder for the unpacked slices: set "
        f"XDG_CACHE_HOME to one with {size * math.prod(SLICE_SHAPE) / 1e9:.1f} GB of space"
    )


def _is_complete(unpacked: Path, fingerprint: str) -> bool:
    try:
        return (unpacked / "dataset.txt").read_text() == fingerprint
    except (OSError, ValueError):
        return False


def _clean(place: Path, alone: bool) -> None:
    """Deletes what killed processes left behind, and in the cache what was not used for long."""
    if alone:
        for left_over in place.parent.glob(f".*-{place.name}"):
            shutil.rmtree(left_over, ignore_errors=True)
    if place.parent.name == _CACHE:
        for path in place.parent.glob("*/dataset.txt"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _KEPT_DAYS * 24 * 3600:
                    shutil.rmtree(path.parent, ignore_errors=True)


def _counts(index: list[dict]) -> np.ndarray:
    """Number of images, label maps and masks of each subject `[subjects, 3]`."""
    rows = [
        (len(entry["y"]) * len(entry["modalities"]), len(entry["y"]) * len(entry["label_sources"]), len(entry["y"]))
        for entry in index
    ]
    return np.array(rows, np.int64)


def _unpack(store: SliceStore, unpacked: Path, fingerprint: str) -> None:
    temporary = temporary_beside(unpacked)
    totals = _counts(store.index).sum(0)
    try:
        temporary.mkdir()
        with ExitStack() as stack:
            files = [
                stack.enter_context(new_array(temporary / f"{name}.npy", dtype, (int(total), *SLICE_SHAPE)))
                for (name, dtype), total in zip(_ARRAYS.items(), totals, strict=True)
            ]
            for subject in store.subjects():
                record = store.read(subject)
                values = (record.images, record.labels, record.brain_mask)
                for file, array, dtype in zip(files, values, _ARRAYS.values(), strict=True):
                    file.write(np.ascontiguousarray(array, np.dtype(dtype).newbyteorder("<")).data)
        (temporary / "dataset.txt").write_text(fingerprint)
        replace_folder(temporary, unpacked)
    except OSError as error:
        raise OutputError(
            f"{unpacked}: cannot be written ({error.strerror or error}), expected free space for it"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
