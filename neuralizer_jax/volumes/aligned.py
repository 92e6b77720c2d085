"""Scans and examples as prediction takes them: in [0, 1], axes in RAS order, each voxel's place in MNI152 known."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuralizer_jax.intensity import normalize
from neuralizer_jax.volumes.alignment import Alignment, align
from neuralizer_jax.volumes.background import is_skull_stripped, with_dark_background
from neuralizer_jax.volumes.moments import Moments, label_moments
from neuralizer_jax.volumes.scan import Example, Scan, to_ras


@dataclass(frozen=True, eq=False)
class AlignedScan:
    """A scan that was aligned.

    Attributes:
        name: of the scan.
        values: float16 `[X, Y, Z]` in [0, 1], scaled by the scan's foreground.
        to_mni: `[4, 4]`, voxel -> MNI152 in mm.
        alignment: of the scan's world.
    """

    name: str
    values: np.ndarray
    to_mni: np.ndarray
    alignment: Alignment


@dataclass(frozen=True, eq=False)
class AlignedExample:
    """An annotated scan that was aligned. It serves any number of targets.

    Attributes:
        scan: the scan.
        labels: `[X, Y, Z]` on its voxels.
        annotated: the labels that were looked for.
        moments: {label: where it lies}, without labels that the example does not show.
    """

    scan: AlignedScan
    labels: np.ndarray
    annotated: tuple[int, ...]
    moments: dict[int, Moments]


def align_scan(scan: Scan, *, aligned: bool = False, cache: Path | None = None) -> AlignedScan:
    """Aligns a scan to MNI152 and scales it.

    Args:
        scan: the scan.
        aligned: its world is that of MNI152 already.
        cache: folder of alignments, see `alignment.align`.

    Raises:
        InputError: it cannot be aligned.
    """
    alignment = Alignment(np.eye(4)) if aligned else align(scan, cache=cache)
    canonical = scan.canonical()
    values = np.ascontiguousarray(canonical.values)
    if is_skull_stripped(values, canonical.affine):
        values = with_dark_background(values)
    scaled = normalize(values).astype(np.float16)
    return AlignedScan(scan.name, scaled, alignment.to_mni @ canonical.affine, alignment)


def align_example(example: Example, *, aligned: bool = False, cache: Path | None = None) -> AlignedExample:
    """Aligns an annotated scan as `align_scan` does. Align examples once, and predict many targets from them."""
    scan = align_scan(example.scan, aligned=aligned, cache=cache)
    labels = np.ascontiguousarray(to_ras(example.labels, example.scan.affine)[0])
    return AlignedExample(scan, labels, example.annotated, label_moments(labels, scan.to_mni, example.annotated))
