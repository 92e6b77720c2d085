"""Plans how a context set is computed: all pairs together or in chunks, the fastest way that fits in memory."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax

from neuralizer_jax.inference.chunks import can_be_chunked
from neuralizer_jax.model import Neuralizer

# Bytes of the widest activation of a chunk on a CPU, so that it stays in the cache. Other devices compute as many pairs
# at once as fit.
_CPU_CHUNK_BYTES = 20 << 20

# Below this size all pairs are computed together on a CPU: as fast, and one program is traced and loaded instead of
# sixteen.
_CPU_TOGETHER_BYTES = 40 << 20

# Peak memory of a pair in units of its widest activation, measured: while it is computed, and while it is kept.
_COMPUTED, _KEPT = 7, 1.5

# Share of the free memory that is used.
_SHARE = 0.5


@dataclass(frozen=True)
class ContextPlan:
    """How a context set is computed.

    chunk: pairs that are computed together; None: all.
    keep: keep the activations of the other chunks for the next block.
    """

    chunk: int | None = None
    keep: bool = False


def plan_context(
    model: Neuralizer, size: tuple[int, ...], members: int, devices: Sequence[jax.Device], free: int
) -> ContextPlan:
    """Returns the fastest plan for a number of context pairs that fits in the free memory.

    `size` is that of the images, `*spatial`. `free` are the free bytes of the first device; the others are taken to
    have as much. A network that cannot be chunked computes all pairs together.
    """
    if not can_be_chunked(model):
        return ContextPlan()
    widest = model.features if isinstance(model.features, int) else max(model.features)
    activation = 4 * widest * math.prod(size)
    first, count = devices[0], len(devices)
    # CPU devices share one memory.
    budget = _SHARE * free * (1 if first.platform == "cpu" else count)
    enough = members
    if first.platform == "cpu" and members * activation > _CPU_TOGETHER_BYTES * count:
        enough = max(1, _CPU_CHUNK_BYTES * count // activation)

    def together(free):
        return min(enough, int(free / (_COMPUTED * activation)))

    if together(budget) >= members:
        return ContextPlan()
    beside_kept = together(budget - _KEPT * members * activation)
    return ContextPlan(beside_kept, keep=True) if beside_kept >= 1 else ContextPlan(max(1, together(budget)))
