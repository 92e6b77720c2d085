"""A prepared dataset of volumes, mapped into memory: slices in any plane and position are cut from it.

OUT/DATASET-volumes/volumes/index.json              the subjects, and the labels that codes stand for
                            images.npy, labels.npy, masks.npy
                            profiles-PROTOCOL.npy   voxels of each code in each plane

Plain arrays instead of TFDS: an episode reads a small box of many volumes, and a record is decoded whole. Written by
`prepare.write_volumes`.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from input_pipeline.space.grid import SHAPE
from input_pipeline.space.protocols import PROTOCOLS
from input_pipeline.store.arrays import mapped_array
from neuralizer_jax.errors import InputError

# Planes of a profile along each axis; the shorter axes are padded with zeros.
PLANES = max(SHAPE)

# Changes when a new version of the folder cannot be read by the code of an old one.
FORMAT = 1


@dataclass(frozen=True, eq=False)
class StoredVolumes:
    """The volumes of a dataset on the grid (`space.grid`), subject after subject in the order of its index.

    Attributes:
        index: what is known of each subject without reading its volumes, in JSON types: ids, split, modalities, label
            sources, alignment, and `label_voxels`: protocol -> label -> voxels.
        images: `[n, X, Y, Z]` uint16, 0 to 65535 for [0, 1]: for each subject its modalities. Datasets of label maps
            have none.
        labels: `[m, X, Y, Z]` uint8, or uint16 if a protocol has more than 256 labels: codes, for each subject its
            protocols in the order of `label_sources`.
        label_values: protocol -> label of each code, uint16. Code 0 is label 0.
        masks: `[subjects, X, Y, Z]` uint8, brain masks, 0 or 1.
        profiles: protocol -> `[subjects, 3, 224, codes]` uint16: voxels of each code in each plane along x, y and z.
            0 for subjects without labels of the protocol.
        first_image: `[subjects]` row of each subject's first image.
        first_labels: `[subjects]` row of each subject's first label map.
        first_mask: `[subjects]` row of each subject's mask.
    """

    index: list[dict]
    images: np.ndarray
    labels: np.ndarray
    label_values: dict[str, np.ndarray]
    masks: np.ndarray
    profiles: dict[str, np.ndarray]
    first_image: np.ndarray
    first_labels: np.ndarray
    first_mask: np.ndarray


def holds_volumes(folder: Path) -> bool:
    """Whether a dataset's folder holds volumes; if not, slices or nothing."""
    return (Path(folder) / "volumes/index.json").exists()


def open_volumes(folder: Path) -> StoredVolumes:
    """Opens a dataset of volumes, `OUT/DATASET-volumes`.

    Raises:
        InputError: the folder holds slices or no dataset, or is damaged.
    """
    folder = Path(folder)
    if not holds_volumes(folder):
        found = "slices" if any(folder.glob("*/dataset_info.json")) else "no prepared dataset"
        raise InputError(f"{folder}: holds {found}, expected volumes that `neuralizer prepare --volumes` wrote")
    arrays = folder / "volumes"
    try:
        text = json.loads((arrays / "index.json").read_text(encoding="utf-8"))
        if text["format"] != FORMAT:
            raise ValueError(f"format {text['format']}, expected {FORMAT}")
        index: list[dict] = text["subjects"]
        values = {protocol: np.array(codes, np.uint16) for protocol, codes in text["label_values"].items()}
        counts = np.array([(len(e["modalities"]), len(e["label_sources"]), 1) for e in index], np.int64)
        starts = np.concatenate([np.zeros((1, 3), np.int64), counts.cumsum(0)])
        dtypes: dict[str, type[np.unsignedinteger]] = {
            "images": np.uint16, "labels": code_type(values), "masks": np.uint8,
        }  # fmt: skip
        images, labels, masks = (
            _mapped(arrays / f"{name}.npy", dtype, (int(total), *SHAPE))
            for (name, dtype), total in zip(dtypes.items(), starts[-1], strict=True)
        )
        profiles = {
            protocol: _mapped(profile_file(arrays, protocol), np.uint16, (len(index), 3, PLANES, len(codes)))
            for protocol, codes in values.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise InputError(f"{arrays}: is damaged, or of another version ({error}); prepare it again") from None
    return StoredVolumes(index, images, labels, values, masks, profiles, *starts[:-1].T)


def code_type(label_values: dict[str, np.ndarray]) -> type[np.unsignedinteger]:
    """The type of codes."""
    return np.uint8 if all(len(codes) <= 256 for codes in label_values.values()) else np.uint16


def profile_file(folder: Path, protocol: str) -> Path:
    """The file of a protocol's profiles. Raises ValueError for an unknown protocol."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol {protocol!r}, expected one of {', '.join(PROTOCOLS)}")
    return folder / f"profiles-{protocol}.npy"


def _mapped(path: Path, dtype: type[np.unsignedinteger], shape: tuple[int, ...]) -> np.ndarray:
    array = mapped_array(path)
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"{path.name} is {array.dtype} {list(array.shape)}, expected {np.dtype(dtype)} {list(shape)}")
    return array
