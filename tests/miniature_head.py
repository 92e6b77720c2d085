"""A small head on disk: the phantom at 3 mm, its images and labels as NIfTI files in any axis order."""

from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.spatial.transform import Rotation

from input_pipeline.space.grid import AFFINE
from input_pipeline.synthesis.images import synthesize_image
from input_pipeline.synthesis.phantom import phantom_label_map

SPACING = 3

# Closest to RAS, and seven others: axes exchanged and flipped.
ORIENTATIONS = ("RAS", "LPS", "LIA", "PSR", "SAL", "IRP", "ALI", "RSP")


@cache
def head_labels() -> np.ndarray:
    """Labels `[64, 75, 64]` uint16 in RAS order, FreeSurfer's numbers, skull and skin too."""
    labels = phantom_label_map()[1::SPACING, 1::SPACING, 1::SPACING].copy()
    labels.flags.writeable = False
    return labels


def head_affine() -> np.ndarray:
    """Of `head_labels`: voxel -> MNI152 in mm."""
    affine = AFFINE.copy()
    affine[:3, :3] *= SPACING
    affine[:3, 3] += 1
    return affine


@cache
def head_image(modality: str = "T1", *, skull_stripped: bool = False, seed: int = 0) -> np.ndarray:
    """Image of the head in scanner units (0 to about 1000), float32."""
    direction = 0 if modality == "DTI" else None
    image = synthesize_image(head_labels(), modality, seed=seed, skull_stripped=skull_stripped, direction=direction)
    return np.round(1000 * image)


@cache
def head_segmentation() -> np.ndarray:
    """The brain of `head_labels`, as SynthSeg would segment it."""
    return np.where(head_labels() < 500, head_labels(), 0)


def ball(place: tuple[float, float, float], radius: float) -> np.ndarray:
    """Which voxels of the head lie within `radius` mm of a place in MNI152."""
    x, y, z = np.indices(head_labels().shape) * SPACING + head_affine()[:3, 3].reshape(3, 1, 1, 1)
    return (x - place[0]) ** 2 + (y - place[1]) ** 2 + (z - place[2]) ** 2 <= radius**2


def posed(turn: tuple[float, float, float], shift: tuple[float, float, float]) -> np.ndarray:
    """Affine of the head as it lies in a scanner: turned about the axes by degrees, then moved by mm."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    pose[:3, 3] = shift
    return pose @ head_affine()


def save(path: Path, values: np.ndarray, affine: np.ndarray | None = None, orientation: str = "RAS") -> Path:
    """Writes a volume given in RAS order, stored in another order of axes, NIfTI or MGZ; makes the folders."""
    image = nib.Nifti1Image(values, head_affine() if affine is None else affine)
    image.set_sform(image.affine, code=1)
    start = nib.orientations.axcodes2ornt("RAS")
    target = nib.orientations.axcodes2ornt(orientation)
    image = image.as_reoriented(nib.orientations.ornt_transform(start, target))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".mgz":
        image = nib.MGHImage(np.asarray(image.dataobj), image.affine)
    nib.save(image, path)
    return path


def use_as_built_in_head(monkeypatch) -> None:
    """Makes all built-in heads this one."""
    from neuralizer_jax.volumes import example_heads

    monkeypatch.setattr(example_heads, "_kept_labels", lambda number, cache: head_labels())
    monkeypatch.setattr(example_heads, "AFFINE", head_affine())
