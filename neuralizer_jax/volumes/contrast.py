"""What a scan's tissues look like: the signal of each tissue class, measured where the template has the class."""

from functools import cache

import numpy as np
from scipy import ndimage

from input_pipeline.space.grid import AFFINE, SHAPE
from input_pipeline.space.resample import resample_to_grid
from input_pipeline.space.tissue_classes import CLASSES, class_indices
from input_pipeline.synthesis.phantom import phantom_label_map
from neuralizer_jax.volumes.aligned import AlignedScan

# Signals are measured on a grid of so many mm.
_STEP = 2

# A class with fewer voxels of its inside is measured over all of them.
_LEAST_VOXELS = 50

# Outer tissues are measured where the scan is brighter than air: no two heads have the same surface.
_OUTER = ("marrow", "scalp", "soft_tissue")
_AIR = 0.1

# Deep grey matter is about as bright as cortex, white matter, or between them. Where a scan's large ventricles lie, the
# template has a caudate.
_DEEP = ("thalamus", "caudate", "putamen", "pallidum", "hippocampus", "amygdala")

# Tissues that the template does not have -> what they resemble.
_LIKE = {"choroid": "cortex", "eye": "csf", "orbit": "soft_tissue", "mucosa": "soft_tissue"}

# Between the subjects of the examples, and within a tissue, signals differ by this share of the range.
_SPREAD = 0.04


def tissue_signals(scan: AlignedScan) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the signal of each of `tissue_classes.CLASSES` in a scan, float32 `[25]` each.

    Classes that the scan does not show, such as the skull of a stripped brain, are 0. Alignment is affine, so the
    numbers are rough; the median is little disturbed by voxels of the neighbours.
    """
    grid_affine = AFFINE @ np.diag([_STEP, _STEP, _STEP, 1])
    shape = (SHAPE[0] // _STEP, SHAPE[1] // _STEP, SHAPE[2] // _STEP)
    values = resample_to_grid(
        scan.values.astype(np.float32), np.eye(4), scan.to_mni, labels=False, shape=shape, grid_affine=grid_affine
    )
    means = np.zeros(len(CLASSES), np.float32)
    for number, voxels in _places():
        found = values.ravel()[voxels]
        if CLASSES[number] in _OUTER and (found > _AIR).any():
            found = found[found > _AIR]
        means[number] = np.median(found)
    signal = {name: means[number] for number, name in enumerate(CLASSES)}
    ends = sorted((signal["cortex"], signal["white_matter"]))
    for name in _DEEP:
        means[CLASSES.index(name)] = np.clip(signal[name], *ends)
    for name, other in _LIKE.items():
        means[CLASSES.index(name)] = signal[other]
    spreads = np.where(means > 0, np.float32(_SPREAD), np.float32(0))
    return means, spreads


@cache
def _places() -> tuple[tuple[int, np.ndarray], ...]:
    """Of each class that the template shows, but the background: its number, and the voxels to measure it at."""
    classes = class_indices(phantom_label_map()[::_STEP, ::_STEP, ::_STEP])
    same = ndimage.minimum_filter(classes, 3) == ndimage.maximum_filter(classes, 3)
    found = []
    for number in range(1, len(CLASSES)):
        inside = np.flatnonzero((classes == number) & same)
        if len(inside) < _LEAST_VOXELS:
            inside = np.flatnonzero(classes == number)
        if len(inside):
            found.append((number, inside))
    return tuple(found)
