"""Baselines without a network for whole scans: each voxel gets the label that most of the aligned examples have there.

Examples are aligned and chosen as for a network, see `volumes.predict`.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage

from input_pipeline.align.deformable import averaged, displacements
from input_pipeline.space.grid import ORIGIN, SHAPE
from neuralizer_jax.volumes.aligned import AlignedExample, AlignedScan
from neuralizer_jax.volumes.boxes import Box, box_around, cut
from neuralizer_jax.volumes.choose import choose
from neuralizer_jax.volumes.compete import Competition, on_grid

# From an example, a label and a box to the mask of the label there, float32 `[*box.shape]` in [0, 1].
Carry = Callable[[AlignedExample, int, Box], np.ndarray]

# Images are deformed on the grid of MNI152 with voxels of so many mm. A label is looked for so far beyond where the
# examples have it, mm: further than a deformation moves it.
_DEFORMED_MM, _REACH_MM = 2, 12


def affine_labels(example: AlignedExample, label: int, box: Box) -> np.ndarray:
    """The mask of a label where the affine alignment puts it."""
    return cut(example.labels, example.scan.to_mni, box, label=label)


def majority_vote(
    target: AlignedScan,
    examples: Sequence[AlignedExample],
    labels: Sequence[int],
    count: int,
    carry: Carry = affine_labels,
) -> np.ndarray:
    """The vote of the examples on each voxel of a scan.

    Args:
        target: the scan.
        examples: annotated scans.
        labels: to find; each is in an example.
        count: a label is voted on by so many of the examples that were annotated for it, those that resemble the
            target most where it lies.
        carry: carries labels of an example to the target.

    Returns:
        int32 `[X, Y, Z]`, on the target's voxels in RAS order. A label has the share of votes that it gets, and the
        background what is left; the most votes win.

    Example:
        >>> from neuralizer_jax import Example, Scan
        >>> from neuralizer_jax.volumes.aligned import align_example
        >>> scan, labels = np.random.default_rng(0).random((9, 9, 9)), np.zeros((9, 9, 9), np.int32)
        >>> labels[3:6, 3:6, 3:6] = 17
        >>> example = align_example(Example(Scan(scan, np.eye(4)), labels), aligned=True)
        >>> (majority_vote(example.scan, [example], [17], count=1) == labels).all()
        np.True_
    """
    competition = Competition(target.values.shape)
    for label in labels:
        usable = [example for example in examples if label in example.annotated]
        chosen = [example for example, _ in choose(target, usable, label, count)]
        places = [example.moments[label] for example in chosen if label in example.moments]
        if not places:
            continue
        low, high = np.min([x.low for x in places], axis=0), np.max([x.high for x in places], axis=0)
        box = box_around(low, high, _REACH_MM)
        votes = np.mean([carry(example, label, box) for example in chosen], axis=0)
        competition.enter(label, *on_grid(votes, box, target.to_mni, target.values.shape))
    return competition.labels()


class DeformableVote:
    """The vote of examples that are deformed to the target; what is found for a target serves all of its votes."""

    def __init__(self) -> None:  # noqa: D107
        self._target: AlignedScan | None = None
        self._brain = np.empty(0)
        self._fields: dict[AlignedExample, np.ndarray] = {}

    def __call__(
        self, target: AlignedScan, examples: Sequence[AlignedExample], labels: Sequence[int], count: int
    ) -> np.ndarray:
        """Votes as `majority_vote` does; labels of an example are interpolated once."""
        if target is not self._target:
            self._target, self._brain, self._fields = target, _brain(target), {}
        return majority_vote(target, examples, labels, count, self._carry)

    def _carry(self, example: AlignedExample, label: int, box: Box) -> np.ndarray:
        if example not in self._fields:
            self._fields[example] = displacements(self._brain, _brain(example.scan), _DEFORMED_MM)
        return _deformed_labels(example, label, box, self._fields[example])


def _brain(scan: AlignedScan) -> np.ndarray:
    """A scan on the grid of MNI152, averaged."""
    return averaged(cut(scan.values, scan.to_mni, Box(ORIGIN, SHAPE)), _DEFORMED_MM)


def _deformed_labels(example: AlignedExample, label: int, box: Box, field: np.ndarray) -> np.ndarray:
    places = np.indices(box.shape, np.float32).reshape(3, -1) + np.array(box.low, np.float32)[:, None]
    on_field = (places - np.array(ORIGIN)[:, None] - (_DEFORMED_MM - 1) / 2) / _DEFORMED_MM
    moved = [ndimage.map_coordinates(field[..., axis], on_field, order=1, mode="nearest") for axis in range(3)]
    to_voxel = np.linalg.inv(example.scan.to_mni)
    voxels = to_voxel[:3, :3] @ (places + moved) + to_voxel[:3, 3:]
    mask = (example.labels == label).astype(np.float32)
    found = ndimage.map_coordinates(mask, voxels, order=1, mode="grid-constant", prefilter=False)
    return (found.reshape(box.shape) >= 0.5).astype(np.float32)
