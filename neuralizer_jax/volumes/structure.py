"""One structure in one target: box, examples, prediction in three planes, vote."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from neuralizer_jax.inference.bootstrap import draw_members
from neuralizer_jax.model import Neuralizer
from neuralizer_jax.volumes.aligned import AlignedExample, AlignedScan
from neuralizer_jax.volumes.boxes import Box, box_around
from neuralizer_jax.volumes.fuse import local_vote, share_of_vote
from neuralizer_jax.volumes.slice_predictions import predict_planes

# Around a structure the network sees so much, and it is predicted so far beyond the examples' ends, mm.
MARGIN_MM, ENDS_MM = 16, 5

# A structure of which less is inside of the target is cut off.
WHOLE = 0.95

# Every third slice is predicted, as accurate as all, in a third of the time.
EVERY = 3


@dataclass(frozen=True, eq=False)
class StructurePrediction:
    """The prediction of one structure on a box of the template.

    Attributes:
        label: the structure.
        box: where.
        planes: float16 `[planes, *box.shape]`, the network's probability in each plane.
        vote: float16 `[*box.shape]`, the vote of the examples' labels (`fuse.local_vote`).
        share: how much the vote counts beside the network, 0 to 1.
        spread: float16 `[*box.shape]`, standard deviation of the network's probability over the resampled sets of
            examples; None without any.
        in_view: share of the structure, where the examples have it, that lies inside of the target, 0 to 1.
        examples: names of the examples that it was predicted from, and their similarity, most similar first.
    """

    label: int
    box: Box
    planes: np.ndarray
    vote: np.ndarray
    share: float
    in_view: float
    examples: tuple[tuple[str, float], ...]
    spread: np.ndarray | None = None

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
    bootstrap: int = 0,
    seed: int = 0,
    devices: Sequence[jax.Device] | None = None,
) -> StructurePrediction:
    """Predicts a structure from examples with their similarity; at least one shows it.

    See `predict.predict_volume` for `planes`, `bootstrap`, `seed` and `devices`.
    """
    places = [x.moments[label] for x, _ in examples if label in x.moments]
    low, high = np.min([x.low for x in places], axis=0), np.max([x.high for x in places], axis=0)
    crop = box_around(low, high, MARGIN_MM)
    own = target.cut(crop)
    images = np.stack([x.scan.cut(crop) for x, _ in examples])
    masks = np.stack([x.mask(label, crop) for x, _ in examples])

    box = Box(_whole(np.floor(low) - ENDS_MM), _whole(np.ceil(high) - np.floor(low) + 2 * ENDS_MM + 1))
    inside = crop.part(box)
    votes = masks[:, *inside]
    in_view = float((votes * target.seen(box)).sum() / max(1.0, float(votes.sum())))
    count = len(examples)
    draws = [draw_members(seed, draw, count, count) for draw in range(bootstrap)] or [np.arange(count)]
    predicted = np.zeros((len(draws), len(planes), *box.shape), np.float32)
    if in_view > 0:
        for place, draw in zip(predicted, draws, strict=True):
            place[...] = predict_planes(model, params, own, images[draw], masks[draw], inside, planes, EVERY, devices)
    by_plane = predicted.mean(axis=0)
    spread = predicted.mean(axis=1).std(axis=0).astype(np.float16) if bootstrap else None
    vote = local_vote(own[inside], images[:, *inside], votes)
    share = share_of_vote(by_plane.mean(axis=0), vote, count)
    used = tuple((x.scan.name, like) for x, like in examples)
    return StructurePrediction(
        label, box, by_plane.astype(np.float16), vote.astype(np.float16), share, in_view, used, spread
    )


def _whole(values: np.ndarray) -> tuple[int, int, int]:
    x, y, z = (int(value) for value in values)
    return x, y, z
