"""The network on many slices at once: crops of a target and its examples in, the probability of each voxel out."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from neuralizer_jax.inference.one_pass import probability
from neuralizer_jax.model import Neuralizer
from neuralizer_jax.preprocess import bucket_size
from neuralizer_jax.volumes.slices import PLANES, slices_of

# Slices that are computed together at most, and bytes of their widest activation: on a CPU it stays in the cache.
_CPU_SLICES, _CPU_BYTES = 8, 1 << 25
_DEVICE_SLICES, _DEVICE_BYTES = 64, 1 << 31


def predict_planes(
    model: Neuralizer,
    params: dict[str, Any],
    target: np.ndarray,
    images: np.ndarray,
    masks: np.ndarray,
    inside: tuple[slice, slice, slice],
    planes: tuple[str, ...],
    every: int = 1,
    devices: Sequence[jax.Device] | None = None,
) -> np.ndarray:
    """Predicts a structure slice by slice in each of the planes.

    Args:
        model: the network.
        params: its parameters.
        target: `[X, Y, Z]` in [0, 1], lengths are multiples of 2^(stages - 1).
        images: `[N, X, Y, Z]`, the examples at the same place.
        masks: `[N, X, Y, Z]`, the structure in them, 0 or 1.
        inside: the part of the crop that is predicted. The slices are whole, for the network sees what is around.
        planes: some of `slices.PLANES`.
        every: every n-th slice is computed, those between are interpolated.
        devices: devices that share the slices; None: JAX's default device.

    Returns:
        float32 `[planes, *inside]`, the probability of the structure.
    """
    members = bucket_size(len(images))
    found = []
    for plane in planes:
        part = inside[PLANES[plane]]
        wanted = np.arange(part.start, part.stop)
        computed = np.unique(np.append(wanted[::every], wanted[-1]))
        own, *others = (slices_of(x, plane) for x in (target, images, masks))
        batch = _batch_size(model, own.shape[1:], members) * max(1, len(devices or ()))
        scores = []
        for start in range(0, len(computed), batch):
            chosen = computed[start : start + batch]
            # Every batch has the same size, so one program is compiled.
            filled = np.pad(chosen, (0, batch - len(chosen)), mode="edge")
            context_in, context_out = (np.moveaxis(x[:, filled], 0, 1) for x in others)
            found_there = _predict(model, params, own[filled], context_in, context_out, members, devices)
            scores.append(found_there[: len(chosen)])
        crop = np.zeros(target.shape, np.float32)
        slices_of(crop, plane)[wanted] = _between(computed, np.concatenate(scores), wanted)
        found.append(crop[inside])
    return np.stack(found)


def _between(places: np.ndarray, slices: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Slices `[wanted, H, W]`, interpolated between those at some of the places."""
    after = np.minimum(np.searchsorted(places, wanted), len(places) - 1)
    before = np.where(places[after] > wanted, after - 1, after)
    share = (wanted - places[before]) / np.maximum(places[after] - places[before], 1)
    return slices[before] + share[:, None, None].astype(np.float32) * (slices[after] - slices[before])


def _predict(model, params, target, images, masks, members, devices):
    """Probabilities `[B, H, W]` of target slices `[B, H, W]` and example slices `[B, N, H, W]`."""
    count = images.shape[1]
    padding = ((0, 0), (0, members - count), (0, 0), (0, 0))
    images, masks = (np.pad(x, padding)[..., None] for x in (images, masks))
    valid = np.broadcast_to(np.arange(members) < count, (len(target), members))
    slices = target[..., None], images, masks, valid
    if devices:
        slices = jax.device_put(slices, NamedSharding(Mesh(np.array(devices), "slices"), PartitionSpec("slices")))
    return np.asarray(_forward(model, params, *slices))


@partial(jax.jit, static_argnames="model")
def _forward(model, params, target, context_in, context_out, context_mask):
    """The compiled program."""
    return probability(model, model.apply({"params": params}, target, context_in, context_out, context_mask)[..., 0])


def _batch_size(model: Neuralizer, size: tuple[int, ...], members: int) -> int:
    widest = model.features if isinstance(model.features, int) else max(model.features)
    on_cpu = jax.default_backend() == "cpu"
    most, limit = (_CPU_SLICES, _CPU_BYTES) if on_cpu else (_DEVICE_SLICES, _DEVICE_BYTES)
    return max(1, min(most, limit // (4 * widest * members * math.prod(size))))
