"""Runs the network with the context set in chunks, so that the activations of all pairs need not be in memory.

A block combines the target with the average over the context pairs, and each pair with the target alone. So the blocks
run one after another, and each adds up the pairs chunk by chunk:

    kept        The activation and the shortcuts of each pair are kept for the next block. The work is that of all pairs
                at once.
    streamed    No activation is kept. Each block starts again at the images of the pairs. The memory does not grow with
                the number of pairs, and the work is about four times as much.

Both give the output of all pairs at once, but for the order of summation.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from neuralizer_jax.model import MemberMean, Neuralizer, PairwiseConvAvg

# Inputs and outputs `[n, *spatial, C]`, and which pairs count, bool `[n]`.
Chunk = tuple[jax.Array, jax.Array, jax.Array]

# Pairs after the unit of a block: activations `[n, 1, *spatial, features]`, their shortcuts, which of them count.
_Members = tuple[jax.Array, tuple[jax.Array, ...], jax.Array]


def can_be_chunked(model: Neuralizer) -> bool:
    """Returns whether a network has the published block and aggregation; others may need all pairs together."""
    return model.block is PairwiseConvAvg and model.aggregation is MemberMean


def apply_in_chunks(
    model: Neuralizer,
    params: dict[str, Any],
    target_in: jax.Array,
    chunks: Callable[[], Iterable[Chunk]],
    *,
    keep: bool,
) -> jax.Array:
    """Returns what `model.apply` returns for one target and the pairs of all chunks.

    Args:
        model: a network that `can_be_chunked`.
        params: its parameters.
        target_in: `[*spatial, C]`, intensities in [0, 1].
        chunks: yields the context set in chunks of one size. Called once for each block, with `keep` once in all. Pairs
            that do not count may hold any finite values; at least one pair counts.
        keep: keep activations.

    Returns:
        float32 `[*spatial, out_channels]`.
    """
    target, shortcuts = _first_unit(model, params, target_in), ()
    # Target features after each finished block.
    seen: tuple[jax.Array, ...] = ()
    kept: list[_Members] = []
    last = 2 * model.stages - 2
    for index in range(last + 1):
        # Same sharding as its summands, otherwise a second program is compiled.
        average = jax.device_put((np.zeros(target.shape, np.float32), np.float32(0)), target.sharding)
        if keep and index:
            # Popped from the list, so that its memory is freed after the step.
            steps = (partial(_from_kept, model, index, params, seen[-1], *kept.pop(0)) for _ in range(len(kept)))
        else:
            steps = (partial(_from_images, model, params, seen, *chunk) for chunk in chunks())
        for step in steps:
            # Without waiting, all chunks would be in memory at once.
            members, average = jax.block_until_ready(step(average))
            if keep and index < last:
                kept.append(members)
        seen = (*seen, target)
        target, shortcuts = _next_unit(model, index, params, target, average, shortcuts)
    return target


@partial(jax.jit, static_argnums=0)
def _first_unit(model, params, target_in):
    """Computes the target after the unit of the first block, `[1, *spatial, features]`."""

    def run(network):
        return network.enc_blocks[0].target_conv(network.embed_target(target_in[None]))

    return _apply(run, model, params)


@partial(jax.jit, static_argnums=(0, 1))
def _next_unit(model, index, params, target, average, shortcuts):
    """Moves the target from after the unit of a block to after the unit of the next block.

    Returns:
        The target and its shortcuts; after the last block, the network's output `[*spatial, out_channels]`.
    """
    total, count = average

    def run(network):
        blocks = _blocks(network)
        behind = blocks[index].update_target(target, (total / count).astype(target.dtype))
        entry, left = _to_next_block(network.target_down, network.target_merge, index, behind, shortcuts)
        if index + 1 == len(blocks):
            return network.output_block(entry)[0], left
        return blocks[index + 1].target_conv(entry), left

    return _apply(run, model, params)


@partial(jax.jit, static_argnums=0)
def _from_images(model, params, seen, context_in, context_out, valid, average):
    """Moves a chunk from its images to after the unit of the block that follows `seen`, and adds it to the average."""

    def run(network):
        context = network.embed_context(context_in[:, None], context_out[:, None])
        members = network.enc_blocks[0].context_unit(context), (), valid
        for index, target in enumerate(seen):
            members = _to_next_unit(network, index, target, *members)
        return members, _added(average, *members)

    return _apply(run, model, params)


def _from_kept(model, index, params, target, context, shortcuts, valid, average):
    """Moves a chunk to after the unit of block `index` from after that of the block before; adds it to the average."""
    # Encoder blocks read no shortcut, decoder blocks the last one.
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
    blocks = _blocks(network)
    behind = blocks[index].update_context(context, target)
    entry, shortcuts = _to_next_block(network.context_down, network.context_merge, index, behind, shortcuts)
    return blocks[index + 1].context_unit(entry), shortcuts, valid


def _blocks(network):
    return (*network.enc_blocks, *network.dec_blocks)


def _to_next_block(down, merge, index, x, shortcuts):
    """The output of a block -> the input of the next one, at half or twice the resolution; and the shortcuts left.

    The output of the last block stays as it is.
    """
    if index < len(down):
        return down[index](x), (*shortcuts, x)
    if shortcuts:
        return merge[index - len(down)](x, shortcuts[-1]), shortcuts[:-1]
    return x, ()


def _added(average, context, shortcuts, valid):
    """Adds a chunk to the sum and the number of pairs, as `MemberMean` does."""
    total, count = average
    weights = valid.astype(context.dtype)
    total += jnp.einsum("n,nb...->b...", weights, context, preferred_element_type=jnp.float32)
    return total, count + jnp.sum(valid, dtype=jnp.float32)
