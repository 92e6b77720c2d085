"""A small head on disk: the phantom at 3 mm, its images and labels as NIfTI files in any axis order."""

from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np

from input_pipeline.mni_grid import AFFINE
from input_pipeline.phantom import phantom_label_map
from input_pipeline.synthesis import synthesize_image

SPACING = 3

# Closest to RAS, and seven others: axes exchanged and flipped.
ORIENTATIONS = ("RAS", "LPS", "LIA", "PSR", "SAL", "IRP", "ALI", "RSP")


@cache
def head_labels() -> np.ndarray:
    """Labels `[64, 75, 64]` uint16 in RAS order, FreeSurfer's numbers, skull and skin too."""
    labels = phantom_label_map()[0][1::SPACING, 1::SPACING, 1::SPACING].copy()
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


def save(path: Path, values: np.ndarray, affine: np.ndarray | None = None, orientation: str = "RAS") -> Path:
    """Writes a volume given in RAS order, stored in another order of axes; makes the folders."""
    image = nib.Nifti1Image(values, head_affine() if affine is None else affine)
    image.set_sform(image.affine, code=1)
    start = nib.orientations.axcodes2ornt("RAS")
    target = nib.orientations.axcodes2ornt(orientation)
    image = image.as_reoriented(nib.orientations.ornt_transform(start, target))
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path
