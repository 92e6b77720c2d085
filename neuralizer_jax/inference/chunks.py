"""The network's output with the context in chunks, so that its activations need not be in memory together.

A block reads the context through one average over its members, and a member reads nothing but the target. So the blocks
are done one after another, and in each the members chunk by chunk, adding up what they tell the target:

    kept        what a member needs for the next block is kept: one activation, and its shortcuts on the way down. The
                work is that of one shot.
    streamed    nothing of a member is kept; every block begins at the members' images again. The memory is the same for
                any number of members, for about four times the work.

Both give the one-shot output, but for the order in which members are added up.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from neuralizer_jax.model import MemberMean, Neuralizer, PairwiseConvAvg

# Inputs and outputs `[n, *spatial, C]`, and which of the members count, bool `[n]`.
Chunk = tuple[jax.Array, jax.Array, jax.Array]

# Members behind the unit of a block: activations `[n, 1, *spatial, features]`, their shortcuts, which of them count.
_Members = tuple[jax.Array, tuple[jax.Array, ...], jax.Array]


def can_be_chunked(model: Neuralizer) -> bool:
    """Whether it has the published blocks and average; others may need all members together."""
    return model.block is PairwiseConvAvg and model.aggregation is MemberMean


def apply_in_chunks(
    model: Neuralizer,
    params: dict[str, Any],
    target_in: jax.Array,
    chunks: Callable[[], Iterable[Chunk]],
    *,
    keep: bool,
) -> jax.Array:
    """As `model.apply` of one target and the members of all chunks.

    Args:
        model: one that `can_be_chunked`.
        params: its parameters.
        target_in: `[*spatial, C]`, intensities in [0, 1].
        chunks: gives the context, in chunks of one size; asked once a block, where activations are kept once. What does
            not count may hold anything finite; something has to count.
        keep: whether to keep activations.

    Returns:
        float32 `[*spatial, out_channels]`.
    """
    target, shortcuts = _first_unit(model, params, target_in), ()
    # The target behind the units of the blocks that are done: what the members see of it.
    seen: tuple[jax.Array, ...] = ()
    kept: list[_Members] = []
    last = 2 * model.stages - 2
    for index in range(last + 1):
        # Placed as what is added to it, else there would be two programs.
        average = jax.device_put((np.zeros(target.shape, np.float32), np.float32(0)), target.sharding)
        if keep and index:
            # Each is taken from the list, so that its memory is free again when it has become what it is next.
            steps = (partial(_from_kept, model, index, params, seen[-1], *kept.pop(0)) for _ in range(len(kept)))
        else:
            steps = (partial(_from_images, model, params, seen, *chunk) for chunk in chunks())
        for step in steps:
            # Without waiting, all chunks would be in memory before the first one is done.
            members, average = jax.block_until_ready(step(average))
            if keep and index < last:
                kept.append(members)
        seen = (*seen, target)
        target, shortcuts = _next_unit(model, index, params, target, average, shortcuts)
    return target


@partial(jax.jit, static_argnums=0)
def _first_unit(model, params, target_in):
    """The target `[1, *spatial, features]` behind the unit of the first block."""

    def run(network):
        return network.blocks[0].target_conv(network.embed_target(target_in[None]))

    return _apply(run, model, params)


@partial(jax.jit, static_argnums=(0, 1))
def _next_unit(model, index, params, target, average, shortcuts):
    """The target from behind the unit of a block, and the members' average there, to behind that of the next block.

    With its shortcuts; behind the last block, the network's output `[*spatial, out_channels]`.
    """
    total, count = average

    def run(network):
        behind = network.blocks[index].update_target(target, (total / count).astype(target.dtype))
        entry, left = network.leave_block(index, behind, shortcuts)
        if index + 1 == len(network.blocks):
            return network.output_block(entry)[0], left
        return network.blocks[index + 1].target_conv(entry), left

    return _apply(run, model, params)


@partial(jax.jit, static_argnums=0)
def _from_images(model, params, seen, context_in, context_out, valid, average):
    """A chunk from its images to behind the unit of the block after those in `seen`; the average with it in."""

    def run(network):
        context = network.embed_context(context_in[:, None], context_out[:, None])
        members = network.blocks[0].context_unit(context), (), valid
        for index, target in enumerate(seen):
            members = _to_next_unit(network, index, target, *members)
        return members, _added(average, *members)

    return _apply(run, model, params)


def _from_kept(model, index, params, target, context, shortcuts, valid, average):
    """A chunk from behind the unit of the block before block `index` to behind that one's; the average with it in."""
    # On the way down nothing is read of the shortcuts, on the way up the last one.
    left, taken = (shortcuts, ()) if index < model.stages else (shortcuts[:-1], shortcuts[-1:])
    (context, new, valid), average = _advance(model, index, params, target, context, taken, valid, average)
    return (context, (*left, *new), valid), average


@partial(jax.jit, static_argnums=(0, 1))
def _advance(model, index, params, target, context, shortcuts, valid, average):
    def run(network):
        members = _to_next_unit(network, index - 1, target, context, shortcuts, valid)
        return members, _added(average, *members)

    return _apply(run, model, params)


def _apply(run, model, params):
    return nn.apply(run, model)({"params": params})


def _to_next_unit(network, index, target, context, shortcuts, valid):
    behind = network.blocks[index].update_context(context, target)
    entry, shortcuts = network.leave_block(index, behind, shortcuts, of_context=True)
    return network.blocks[index + 1].context_unit(entry), shortcuts, valid


def _added(average, context, shortcuts, valid):
    """The sum of the members so far and how many they are, with these; summed as `MemberMean` does."""
    total, count = average
    weights = valid.astype(context.dtype)
    total += jnp.einsum("n,nb...->b...", weights, context, preferred_element_type=jnp.float32)
    return total, count + jnp.sum(valid, dtype=jnp.float32)
