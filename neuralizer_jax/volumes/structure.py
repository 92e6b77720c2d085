"""One structure in one target: box, examples, prediction in three planes, realignment and prediction again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuralizer_jax.model import Neuralizer
from neuralizer_jax.volumes.aligned import AlignedExample, AlignedScan
from neuralizer_jax.volumes.boxes import Box, box_around, cut
from neuralizer_jax.volumes.moments import moments, realignment
from neuralizer_jax.volumes.slice_predictions import predict_planes

# Around a structure the network sees so much, and slices are predicted so far beyond the examples' ends, mm.
MARGIN_MM, ENDS_MM = 24, 5


@dataclass(frozen=True, eq=False)
class StructurePrediction:
    """The prediction of one structure on a box of the MNI152 grid.

    Attributes:
        label: the structure.
        box: where.
        planes: float16 `[planes, *box.shape]`, the probability in each plane.
        examples: names of the examples that it was predicted from, and their similarity, most similar first.
        realigned: how often the examples were realigned to the structure.
    """

    label: int
    box: Box
    planes: np.ndarray
    examples: tuple[tuple[str, float], ...]
    realigned: int

    @property
    def probability(self) -> np.ndarray:
        """Float32 `[*box.shape]`, averaged over the planes."""
        return self.planes.mean(axis=0, dtype=np.float32)


def predict_structure(
    model: Neuralizer,
    params: dict[str, Any],
    target: AlignedScan,
    examples: Sequence[tuple[AlignedExample, float]],
    label: int,
    *,
    planes: tuple[str, ...],
    refine: int,
    on_pass: Callable[[], object] = lambda: None,
) -> StructurePrediction:
    """Predicts a structure from examples with their similarity, and `refine` times again from realigned examples."""
    maps = [np.eye(4)] * len(examples)
    for realigned in range(refine + 1):
        on_pass()
        box, found = _one_pass(model, params, target, [example for example, _ in examples], label, maps, planes)
        own = moments(found.mean(axis=0) > 0.5, box.affine)
        if own is None or realigned == refine:
            break
        again = [realignment(x.moments[label], own) if label in x.moments else np.eye(4) for x, _ in examples]
        if any(matrix is None for matrix in again):
            break
        maps = [matrix for matrix in again if matrix is not None]
    used = tuple((example.scan.name, like) for example, like in examples)
    return StructurePrediction(label, box, found.astype(np.float16), used, realigned)


def _one_pass(model, params, target, examples, label, maps, planes):
    """The box that is predicted, and the probability in each plane `[planes, *box.shape]`."""
    places = [
        (matrix[:3, :3] @ np.stack([x.moments[label].low, x.moments[label].high], axis=1) + matrix[:3, 3:])
        for x, matrix in zip(examples, maps, strict=True)
        if label in x.moments
    ]
    low, high = np.min(places, axis=(0, 2)), np.max(places, axis=(0, 2))
    crop = box_around(low, high, MARGIN_MM)
    first = np.floor(low).astype(int) - ENDS_MM - crop.low
    last = np.ceil(high).astype(int) + ENDS_MM - crop.low
    inside = tuple(slice(int(a), int(b) + 1) for a, b in zip(first, last, strict=True))
    moved = [matrix @ x.scan.to_mni for x, matrix in zip(examples, maps, strict=True)]
    images = np.stack([cut(x.scan.values, to_mni, crop) for x, to_mni in zip(examples, moved, strict=True)])
    masks = np.stack([cut(x.labels, to_mni, crop, label=label) for x, to_mni in zip(examples, moved, strict=True)])
    found = predict_planes(model, params, cut(target.values, target.to_mni, crop), images, masks, inside, planes)
    shape = found.shape[1:]
    origin = [int(a + b) for a, b in zip(crop.low, first, strict=True)]
    return Box((origin[0], origin[1], origin[2]), (shape[0], shape[1], shape[2])), found
