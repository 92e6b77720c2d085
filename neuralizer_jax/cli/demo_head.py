"""The head of the demo: the phantom, warped as no built-in example is, scanned askew and stored in another order."""

from pathlib import Path

import numpy as np

# Another anatomy than those of the examples, which are counted from 0.
_NUMBER = 1000

# The head is turned about the axes by so many degrees, and moved by so many mm.
_TURNED = (8.0, -5.0, 12.0)
_MOVED = (15.0, -10.0, 20.0)


def write_demo_head(folder: Path) -> tuple[Path, Path]:
    """Writes a T1-weighted scan of a made-up head, and the labels that it was made from; returns their paths."""
    from scipy.spatial.transform import Rotation

    from input_pipeline.space.grid import AFFINE
    from input_pipeline.synthesis.example_heads import example_labels
    from input_pipeline.synthesis.images import synthesize_image

    labels = example_labels(_NUMBER)
    image = np.round(1000 * synthesize_image(labels, "T1", seed=_NUMBER)).astype(np.int16)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", _TURNED, degrees=True).as_matrix()
    pose[:3, 3] = _MOVED
    affine = pose @ AFFINE
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "head_T1w.nii.gz", folder / "head_truth.nii.gz"
    for path, values in zip(paths, (image, labels), strict=True):
        _write(path, values, affine)
    return paths


def overlaps(truth: Path, mask: Path, labels: Path) -> dict[str, float]:
    """Dice of the brain mask and of each structure, against what the head was made from."""
    from input_pipeline.space.structure_names import FREESURFER_CLASSES
    from input_pipeline.synthesis.images import brain_mask
    from neuralizer_jax.files.volume_grid import read_labels

    true, found = read_labels(truth), read_labels(labels)
    # The mask's planes are filled slice by slice, along the axis that is y.
    pairs = {"brain": (brain_mask(_in_ras(true)), _in_ras(read_labels(mask)) > 0)}
    for label in sorted(set(np.unique(found).tolist()) - {0}):
        pairs[FREESURFER_CLASSES[label]] = true == label, found == label
    return {name: 2 * float((a & b).sum()) / float(a.sum() + b.sum()) for name, (a, b) in pairs.items()}


def _write(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    """Writes a volume with its axes from right to left, from anterior to posterior, and from inferior to superior."""
    import nibabel

    from neuralizer_jax.files.atomic_file import written_whole

    image = nibabel.Nifti1Image(values, affine).as_reoriented(np.array([[0, -1], [1, -1], [2, 1]]))
    with written_whole(path) as temporary:
        nibabel.save(image, temporary)


def _in_ras(values: np.ndarray) -> np.ndarray:
    return values[::-1, ::-1]
