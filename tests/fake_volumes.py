"""A small made-up dataset of heads as volumes, on disk: ellipsoids with a left and a right half."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from input_pipeline.prepare.write_volumes import SubjectVolumes, label_voxels, write_volumes
from input_pipeline.space.grid import ORIGIN, SHAPE

# Split of each subject.
MAPS = {"a": "train", "b": "train", "c": "train", "d": "train", "v": "val", "w": "val"}
SCANS = {"s": "train", "t": "train"}

# Label on the left, on the right, middle of the right one and radii in mm; later ones lie over earlier ones.
_SHAPES = (
    (511, 511, (0, -17, 18), (80, 98, 88)),
    (515, 515, (0, -17, 18), (76, 94, 84)),
    (24, 24, (0, -17, 18), (71, 90, 79)),
    (3, 42, (0, -17, 18), (68, 86, 75)),
    (2, 41, (0, -17, 18), (61, 79, 68)),
    (10, 49, (13, -19, 8), (10, 15, 10)),
    (4, 43, (11, -12, 24), (7, 26, 7)),
    (17, 53, (28, -22, -14), (9, 18, 8)),
)


def label_map(shift: float) -> np.ndarray:
    """A head whose inner structures are moved to the front by `shift` mm."""
    x, y, z = (
        np.arange(length, dtype=np.float32).reshape([-1 if own == axis else 1 for own in range(3)]) + ORIGIN[axis]
        for axis, length in enumerate(SHAPE)
    )
    labels = np.zeros(SHAPE, np.uint16)
    for left, right, (across, along, up), radii in _SHAPES:
        moved = shift if abs(across) else 0
        distance = ((abs(x + 0.5) - across) / radii[0]) ** 2
        distance = distance + ((y - along - moved) / radii[1]) ** 2 + ((z - up) / radii[2]) ** 2
        labels[distance <= 1] = 0xFFFF
        inside = labels == 0xFFFF
        labels[:96][inside[:96]] = left
        labels[96:][inside[96:]] = right
    return labels


def write_fake_volumes(folder: Path) -> tuple[Path, Path]:
    """Writes `maps-volumes`, label maps without images, and `scans-volumes`, stripped T1 scans with labels."""
    return _write(folder / "maps-volumes", MAPS, scans=False), write_fake_scans(folder)


def write_fake_scans(folder: Path, subjects: Mapping[str, str] = SCANS) -> Path:
    """Writes `scans-volumes` alone; `subjects` are those with their split."""
    return _write(folder / "scans-volumes", subjects, scans=True)


def _write(folder: Path, splits: Mapping[str, str], *, scans: bool) -> Path:
    index, subjects = [], []
    for number, (subject, split) in enumerate(splits.items()):
        labels = label_map(3.0 * number)
        brain = (labels > 0) & (labels < 500)
        if scans:
            labels[~brain] = 0
        image = (labels.astype(np.uint16) * 1000 + 1) * brain
        subjects.append(SubjectVolumes(image[None] if scans else np.empty((0, *SHAPE), np.uint16), labels[None], brain))
        index.append(
            {
                "subject": subject, "person": subject, "split": split, "modalities": ["T1"] if scans else [],
                "mask_source": "published" if scans else "synthetic", "skull_stripped": scans,
                "label_sources": {"freesurfer": "published"},
                "label_voxels": {"freesurfer": label_voxels(labels)},
            }
        )  # fmt: skip
    write_volumes(folder, index, subjects)
    return folder
