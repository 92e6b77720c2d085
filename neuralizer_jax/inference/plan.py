"""How the context set is taken through the network: together, or in chunks, as fast as the free memory allows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax

from neuralizer_jax.inference.chunks import can_be_chunked
from neuralizer_jax.inference.memory import free_bytes
from neuralizer_jax.model import Neuralizer

# Bytes of the widest activation of what is computed together on a CPU: what is still in the cache when it is needed
# next. Other devices are kept busy by as much as there is.
_CPU_CHUNK_BYTES = 20 << 20

# Up to so many bytes of them all members are computed together there: about as fast, and one program is traced and read
# from the cache at the start of a process instead of sixteen.
_CPU_TOGETHER_BYTES = 40 << 20

# Peak of the memory of a member in units of its widest activation, measured: while it is computed, and kept.
_COMPUTED, _KEPT = 7, 1.5

# Of the free memory, so much is used.
_SHARE = 0.5


@dataclass(frozen=True)
class ContextPlan:
    """How many members are computed together, all of them where `chunk` is None, and whether the others are kept."""

    chunk: int | None = None
    keep: bool = False


def plan_context(model: Neuralizer, size: tuple[int, ...], members: int, devices: Sequence[jax.Device]) -> ContextPlan:
    """The fastest way that fits in the free memory.

    Args:
        model: the network; all members together where it cannot be chunked.
        size: of the images, `*spatial`.
        members: of the context.
        devices: that share the members, with as much free memory each as the first one has.
    """
    if not can_be_chunked(model):
        return ContextPlan()
    widest = model.features if isinstance(model.features, int) else max(model.features)
    activation = 4 * widest * math.prod(size)
    first, count = devices[0], len(devices)
    # Devices of a CPU are shares of one memory.
    budget = _SHARE * free_bytes(first) * (1 if first.platform == "cpu" else count)
    enough = members
    if first.platform == "cpu" and members * activation > _CPU_TOGETHER_BYTES * count:
        enough = max(1, _CPU_CHUNK_BYTES * count // activation)

    def together(free):
        return min(enough, int(free / (_COMPUTED * activation)))

    if together(budget) >= members:
        return ContextPlan()
    beside_kept = together(budget - _KEPT * members * activation)
    return ContextPlan(beside_kept, keep=True) if beside_kept >= 1 else ContextPlan(max(1, together(budget)))
