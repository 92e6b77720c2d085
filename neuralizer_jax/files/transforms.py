"""Writes an alignment: as a matrix in text, and as transforms of ITK, which ANTs, Slicer and SimpleITK read."""

from pathlib import Path

import nibabel as nib
import numpy as np

from neuralizer_jax.files.atomic_file import written_whole

# ITK counts to the left and to the back.
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_matrix(path: Path, to_mni: np.ndarray) -> None:
    """Writes a matrix `[4, 4]`, world of a scan -> MNI152, both RAS mm, as four lines of text.

    Example:
        >>> write_matrix(Path("scan_to-MNI152.txt"), np.eye(4))
        >>> np.loadtxt("scan_to-MNI152.txt")[0].tolist()
        [1.0, 0.0, 0.0, 0.0]
    """
    with written_whole(path) as temporary:
        np.savetxt(temporary, to_mni, fmt="%.9g")


def write_itk_transform(path: Path, to_mni: np.ndarray) -> None:
    """Writes an alignment as ITK has it, with which `antsApplyTransforms -i SCAN -r MNI152 -t FILE` resamples the scan.

    The transform of ITK leads from points of the reference, MNI152, to points of the scan, in LPS mm.

    Args:
        path: ends in `.tfm` or `.txt`.
        to_mni: `[4, 4]`, world of the scan -> MNI152, both RAS mm.
    """
    matrix = _LPS @ np.linalg.inv(to_mni) @ _LPS
    numbers = [f"{number:.17g}" for number in (*matrix[:3, :3].ravel(), *matrix[:3, 3])]
    text = f"""#Insight Transform File V1.0
#Transform 0
Transform: AffineTransform_double_3_3
Parameters: {" ".join(numbers)}
FixedParameters: 0 0 0
"""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="ascii")


def write_itk_warp(path: Path, field: np.ndarray, affine: np.ndarray) -> None:
    """Writes displacements as ANTs does: after the alignment of `write_itk_transform`, they lead to the template.

    `antsApplyTransforms -i SCAN -r MNI152 -t ALIGNMENT -t FILE` resamples the scan.

    Args:
        path: ends in `.nii` or `.nii.gz`.
        field: `[3, X, Y, Z]`, displacements along the axes of RAS, mm.
        affine: `[4, 4]`, voxel of the field -> MNI152, RAS mm.
    """
    vectors = np.moveaxis(_LPS[:3, :3] @ field.reshape(3, -1), 0, 1).reshape(*field.shape[1:], 1, 3)
    image = nib.Nifti1Image(vectors.astype(np.float32), affine)
    image.header.set_intent("vector")
    image.header.set_xyzt_units("mm")
    with written_whole(path) as temporary:
        nib.save(image, temporary)
