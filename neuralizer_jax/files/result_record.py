"""The JSON file beside a predicted label map or image: what it was made from, and whether it was changed since."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.endings import volume_ending
from neuralizer_jax.files.volume_grid import read_labels, read_values

PROGRAM = "neuralizer_jax"
_MAX_BYTES = 2**24


def read_record(path: Path) -> dict[str, Any]:
    """The JSON file of a result; empty if there is none, or it is not one of this program."""
    try:
        with open(path, encoding="utf-8") as stream:
            record = json.loads(stream.read(_MAX_BYTES))
        return record if record["GeneratedBy"][0]["Name"] == PROGRAM else {}
    except (OSError, ValueError, TypeError, LookupError):
        return {}


def labels_key(labels: np.ndarray) -> str:
    """A hash of labels, of any type.

    >>> labels_key(np.zeros((2, 2, 2))) == labels_key(np.zeros((2, 2, 2), np.uint8))
    True
    """
    return _key(labels.astype(np.int32))


def image_key(image: np.ndarray) -> str:
    """A hash of the values of an image, as float32.

    >>> image_key(np.full((2, 2, 2), -0.0)) == image_key(np.zeros((2, 2, 2), np.uint8))
    True
    """
    return _key(image.astype(np.float32) + 0)


def is_as_predicted(result: Path, record: dict[str, Any]) -> bool:
    """Whether a label map or image is still the one that its record speaks of; not if it was corrected by hand."""
    try:
        if "Image" in record:
            return record["Image"] == image_key(read_values(result))
        return record.get("Labels") == labels_key(read_labels(result))
    except InputError:
        return False


def is_prediction(labels: Path) -> bool:
    """Whether a label map was predicted by this program, and not corrected since."""
    record = read_record(labels.with_name(f"{labels.name[: -len(volume_ending(labels))]}.json"))
    return "Labels" in record and is_as_predicted(labels, record)


def _key(values: np.ndarray) -> str:
    return hashlib.sha256(repr(values.shape).encode() + values.tobytes()).hexdigest()
