"""Made-up scans and label maps of the workbench's tests, its token, and the worker that stands in for predictions."""

import sys
from pathlib import Path

import nibabel as nib
import numpy as np

WORKER = (sys.executable, str(Path(__file__).with_name("workbench_worker.py")))
TOKEN, PORT = "right-token", 8765
SHAPE = (10, 12, 11)
# Axes exchanged and flipped.
AFFINE = np.array([[0, 0, 2.0, -10], [-2.0, 0, 0, 12], [0, 1.5, 0, -8], [0, 0, 0, 1]])


def picture(seed):
    return np.random.default_rng(seed).integers(1, 900, SHAPE).astype(np.int16)


def boxes(*labels):
    """A label map with a box for each label."""
    values = np.zeros(SHAPE, np.int16)
    for number, label in enumerate(labels):
        values[2:5, 2:6, 3 * number + 1 : 3 * number + 4] = label
    return values


def save_volume(path, values, affine=AFFINE):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(values, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    nib.save(nib.MGHImage(values.astype(np.float32), affine) if path.suffix == ".mgz" else image, path)
    return path


def voxels(path):
    return np.asarray(nib.load(path).dataobj)


def tree(folder):
    """Every file below a folder with its content."""
    return {path.relative_to(folder): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}
