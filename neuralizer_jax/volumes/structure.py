"""One structure in one target: box, examples, prediction in three planes, realignment and prediction again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neuralizer_jax.model import Neuralizer
from neuralizer_jax.volumes.aligned import AlignedExample, AlignedScan
from neuralizer_jax.volumes.boxes import Box, box_around, cut
from neuralizer_jax.volumes.fuse import local_vote, share_of_vote
from neuralizer_jax.volumes.moments import moments, plausible, realignment
from neuralizer_jax.volumes.slice_predictions import predict_planes

# Around a structure the network sees so much, and it is predicted so far beyond the examples' ends, mm.
MARGIN_MM, ENDS_MM = 16, 5

# A structure of which less is inside of the target is cut off.
WHOLE = 0.95

# Every third slice is predicted, as accurate as all, in a third of the time.
EVERY = 3


@dataclass(frozen=True, eq=False)
class StructurePrediction:
    """The prediction of one structure on a box of the MNI152 grid.

    Attributes:
        label: the structure.
        box: where.
        planes: float16 `[planes, *box.shape]`, the network's probability in each plane.
        vote: float16 `[*box.shape]`, the vote of the examples' labels (`fuse.local_vote`).
        share: how much the vote counts beside the network, 0 to 1.
        in_view: share of the structure, where the examples have it, that lies inside of the target, 0 to 1.
        examples: names of the examples that it was predicted from, and their similarity, most similar first.
        realigned: how often the examples were realigned to the structure.
    """

    label: int
    box: Box
    planes: np.ndarray
    vote: np.ndarray
    share: float
    in_view: float
    examples: tuple[tuple[str, float], ...]
    realigned: int = 0

    @property
    def probability(self) -> np.ndarray:
        """Float32 `[*box.shape]`."""
        network = self.planes.mean(axis=0, dtype=np.float32)
        return (1 - self.share) * network + self.share * self.vote.astype(np.float32)


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
    """Predicts a structure from examples with their similarity, and `refine` times again from realigned examples.

    Nothing is realigned to a structure that is not found, is not whole, or lies where none is expected.
    """
    maps = [np.eye(4)] * len(examples)
    places = [x.moments[label] for x, _ in examples if label in x.moments]
    for realigned in range(refine + 1):
        on_pass()
        found = replace(_one_pass(model, params, target, examples, label, maps, planes), realigned=realigned)
        own = moments(found.probability > 0.5, found.box.affine)
        if own is None or found.in_view < WHOLE or not plausible(own, places):
            break
        maps = [realignment(x.moments[label], own) if label in x.moments else np.eye(4) for x, _ in examples]
    return found


def _one_pass(model, params, target, examples, label, maps, planes) -> StructurePrediction:
    ends = [
        matrix[:3, :3] @ _corners(x.moments[label].low, x.moments[label].high) + matrix[:3, 3:]
        for (x, _), matrix in zip(examples, maps, strict=True)
        if label in x.moments
    ]
    low, high = np.min(ends, axis=(0, 2)), np.max(ends, axis=(0, 2))
    crop = box_around(low, high, MARGIN_MM)
    moved = [(x, matrix @ x.scan.to_mni) for (x, _), matrix in zip(examples, maps, strict=True)]
    own = cut(target.values, target.to_mni, crop)
    images = np.stack([cut(x.scan.values, to_mni, crop) for x, to_mni in moved])
    masks = np.stack([cut(x.labels, to_mni, crop, label=label) for x, to_mni in moved])

    box = Box(_whole(np.floor(low) - ENDS_MM), _whole(np.ceil(high) - np.floor(low) + 2 * ENDS_MM + 1))
    inside = crop.part(box)
    votes = masks[:, *inside]
    in_view = float((votes * field_of_view(target, box)).sum() / max(1.0, float(votes.sum())))
    by_plane = np.zeros((len(planes), *box.shape), np.float32)
    if in_view > 0:
        by_plane = predict_planes(model, params, own, images, masks, inside, planes, every=EVERY)
    vote = local_vote(own[inside], images[:, *inside], votes)
    share = share_of_vote(by_plane.mean(axis=0), vote, len(examples))
    used = tuple((x.scan.name, like) for x, like in examples)
    return StructurePrediction(label, box, by_plane.astype(np.float16), vote.astype(np.float16), share, in_view, used)


def field_of_view(target: AlignedScan, box: Box) -> np.ndarray:
    """Where on a box the target has voxels, 0 to 1."""
    return cut(np.broadcast_to(np.float32(1), target.values.shape), target.to_mni, box)


def _corners(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The corners `[3, 8]` of a box."""
    return np.where(np.indices((2, 2, 2)).reshape(3, -1), high[:, None], low[:, None])


def _whole(values: np.ndarray) -> tuple[int, int, int]:
    x, y, z = (int(value) for value in values)
    return x, y, z
