"""Skull stripping of a whole head from built-in examples: the mask of the brain on the scan's own voxels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np
from scipy import ndimage

from neuralizer_jax.errors import InputError
from neuralizer_jax.volumes.aligned import align_scan
from neuralizer_jax.volumes.alignment import Alignment
from neuralizer_jax.volumes.background import is_skull_stripped
from neuralizer_jax.volumes.evidence import field_likeness
from neuralizer_jax.volumes.example_heads import heads_in_field
from neuralizer_jax.volumes.field import field_of
from neuralizer_jax.volumes.image_task import Progress, as_stored, predict_field
from neuralizer_jax.volumes.options import check_options
from neuralizer_jax.volumes.scan import Scan
from neuralizer_jax.volumes.trust import scan_warnings

# The surface of a brain is smooth: it is predicted on a grid of this voxel size in mm, in every other slice.
_STEP_MM = 2.0
_EVERY = 2

# Below one half, for the fluid around the brain, which belongs to it, is thinner than a voxel of the grid.
_THRESHOLD = 0.45


@dataclass(frozen=True, eq=False)
class BrainMask:
    """The brain in a scan.

    Attributes:
        mask: bool `[X, Y, Z]` on the target's own voxels: one piece without holes.
        probability: float32 `[X, Y, Z]`.
        target: the scan.
        alignment: of the target to MNI152.
        likeness: of the scan and the examples, see `evidence.field_likeness`.
    """

    mask: np.ndarray
    probability: np.ndarray
    target: Scan
    alignment: Alignment
    likeness: float = 1.0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd about the scan, see `trust.scan_warnings`."""
        return scan_warnings(self.target, self.alignment, self.likeness)

    def _repr_html_(self) -> str:
        """A picture and the volume, in a notebook."""
        from neuralizer_jax.pictures.notebook_html import scan_html

        voxels = int(self.mask.sum())
        mm3 = voxels * abs(float(np.linalg.det(self.target.affine[:3, :3])))
        rows = {1: ["brain", f"{mm3:,.0f}", f"{voxels:,}"]}
        target = self.target
        return scan_html(
            target.values, target.affine, self.mask.astype(np.uint8), rows, ("", "mm³", "voxels"), target.name
        )


def strip_skull(
    model: nn.Module,
    params: dict[str, Any],
    target: Scan,
    *,
    examples_per_target: int = 4,
    aligned: bool = False,
    planes: Sequence[str] = ("coronal", "axial", "sagittal"),
    cache: Path | None = None,
    on_progress: Progress = lambda stage, done, of: None,
) -> BrainMask:
    """Finds the brain in a scan of a whole head, from built-in examples.

    Args:
        model: a 2-D `Neuralizer`, from `load_weights`.
        params: its parameters.
        target: the scan, of any contrast, orientation and voxel size.
        examples_per_target: number of built-in examples.
        aligned: the target's world coordinates are those of MNI152 already.
        planes: the slices that are predicted and averaged, some of sagittal, coronal, axial.
        cache: folder of alignments and built-in anatomies; None: in the user's cache folder.
        on_progress: called with the stage, and how many of its steps are done, of how many.

    Raises:
        InputError: the target shows a brain alone, or cannot be aligned; options out of range; no brain is found.

    Example:
        >>> from neuralizer_jax import load_weights
        >>> from neuralizer_jax.volumes.read_scan import read_scan
        >>> strip_skull(*load_weights("small"), read_scan("sub-09_T1w.nii.gz")).mask.sum()  # doctest: +SKIP
        1402133
    """
    network = check_options(model, planes, examples_per_target)
    if is_skull_stripped(target.values, target.affine):
        raise InputError(f"{target.name}: shows a brain without skull already, expected a scan of a whole head")
    on_progress("aligning", 0, 1)
    own = align_scan(target, aligned=aligned, cache=cache)
    place = field_of(own, _STEP_MM)
    image = place.bring(own.values, own.to_mni)
    images, brains = heads_in_field(
        own, place, examples_per_target, skull_stripped=False, cache=cache, on_progress=on_progress
    )
    found = predict_field(network, params, image, images, brains, planes, on_progress, mask=True, every=_EVERY)
    values, there = place.take_back(found, own.values.shape)
    probability = np.where(there, values, 0).astype(np.float32)
    mask = _one_piece(probability > _THRESHOLD)
    if not mask.any():
        raise InputError(f"{target.name}: no brain was found, expected a scan of a whole head")
    likeness = field_likeness(image, images)
    return BrainMask(as_stored(mask, target) > 0, as_stored(probability, target), target, own.alignment, likeness)


def _one_piece(mask: np.ndarray) -> np.ndarray:
    """The largest piece of a mask, without holes."""
    pieces, count = ndimage.label(mask)
    if count > 1:
        mask = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    return ndimage.binary_fill_holes(mask)
