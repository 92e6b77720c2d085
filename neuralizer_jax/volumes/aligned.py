"""Scans and examples as prediction takes them: in [0, 1], axes in RAS order, each voxel's place in MNI152 known."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from neuralizer_jax.intensity import normalize
from neuralizer_jax.volumes.alignment import Alignment, align
from neuralizer_jax.volumes.background import is_skull_stripped, with_dark_background
from neuralizer_jax.volumes.boxes import Box, cut
from neuralizer_jax.volumes.compete import on_grid
from neuralizer_jax.volumes.deformation import Deformation, find_deformation
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
        deformation: what this leaves; None: nothing, or it is not known.
    """

    name: str
    values: np.ndarray
    to_mni: np.ndarray
    alignment: Alignment
    deformation: Deformation | None = None

    def cut(self, box: Box) -> np.ndarray:
        """The scan at a box of the template, float32 `[*box.shape]`, 0 outside of the scan."""
        return cut(self.values, self.to_mni, box, field=self._field)

    def seen(self, box: Box) -> np.ndarray:
        """Where on a box of the template the scan has voxels, float32 `[*box.shape]`, 0 to 1."""
        return cut(np.broadcast_to(np.float32(1), self.values.shape), self.to_mni, box, field=self._field)

    def mask(self, labels: np.ndarray, label: int, box: Box) -> np.ndarray:
        """A label on the scan's voxels at a box of the template, float32 `[*box.shape]`, 0 or 1."""
        return cut(labels, self.to_mni, box, label=label, field=self._field)

    def take_back(self, probability: np.ndarray, box: Box) -> tuple[tuple[slice, slice, slice], np.ndarray]:
        """A probability on a box of the template on the scan's voxels: the part that the box reaches, values there."""
        return on_grid(probability, box, self.to_mni, self.values.shape, self.deformation)

    @property
    def _field(self) -> np.ndarray | None:
        return None if self.deformation is None else self.deformation.to_scan


@dataclass(frozen=True, eq=False)
class AlignedExample:
    """An annotated scan that was aligned. It serves any number of targets.

    Attributes:
        scan: the scan.
        labels: `[X, Y, Z]` on its voxels.
        annotated: the labels that were looked for.
    """

    scan: AlignedScan
    labels: np.ndarray
    annotated: tuple[int, ...]

    @cached_property
    def moments(self) -> dict[int, Moments]:
        """{label: where it lies in the template}, without labels that the example does not show."""
        return label_moments(self.labels, self.scan.to_mni, self.annotated, self.scan.deformation)

    def mask(self, label: int, box: Box) -> np.ndarray:
        """A label at a box of the template, float32 `[*box.shape]`, 0 or 1."""
        return self.scan.mask(self.labels, label, box)


def align_scan(
    scan: Scan, *, aligned: bool = False, deformable: bool = False, cache: Path | None = None
) -> AlignedScan:
    """Aligns a scan to MNI152 and scales it.

    Args:
        scan: the scan.
        aligned: its world is that of MNI152 already: nothing is registered.
        deformable: whether it is deformed to the template too, which segmentation needs.
        cache: folder of alignments and deformations; None: in the user's cache folder.

    Raises:
        InputError: it cannot be aligned.
    """
    alignment = Alignment(np.eye(4)) if aligned else align(scan, cache=cache)
    canonical = scan.canonical()
    values = np.ascontiguousarray(canonical.values)
    stripped = is_skull_stripped(values, canonical.affine)
    if stripped:
        values = with_dark_background(values)
    scaled = normalize(values).astype(np.float16)
    to_mni = alignment.to_mni @ canonical.affine
    deformation = None
    if deformable and not aligned:
        deformation = find_deformation(scaled, to_mni, skull_stripped=stripped, cache=cache)
    return AlignedScan(scan.name, scaled, to_mni, alignment, deformation)


def align_example(
    example: Example, *, aligned: bool = False, deformable: bool = True, cache: Path | None = None
) -> AlignedExample:
    """Aligns an annotated scan as `align_scan` does. Align examples once, and predict many targets from them."""
    scan = align_scan(example.scan, aligned=aligned, deformable=deformable, cache=cache)
    labels = np.ascontiguousarray(to_ras(example.labels, example.scan.affine)[0])
    return AlignedExample(scan, labels, example.annotated)
