"""One pass of the network for inference: the prepared target and the drawn context members in, scores out.

With several devices each has a share of the members; the average over them is XLA's to arrange.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from neuralizer_jax.inference.bootstrap import warp
from neuralizer_jax.inference.chunks import apply_in_chunks
from neuralizer_jax.inference.plan import ContextPlan
from neuralizer_jax.model import Neuralizer
from neuralizer_jax.preprocess import bucket_size

# Bound on the widest activation of the classes that are predicted together.
_BATCH_BYTES = 1 << 29


@dataclass(frozen=True)
class Members:
    """Members of a context, prepared when they are asked for.

    Attributes:
        images: of indices `[n]` the inputs `[n, *spatial, C]` and outputs `[n, *spatial, 1]`, images or label maps.
        indices: of all members, int `[N]`.
        affines: how each of them is moved, `[N, dim, dim + 1]` as `bootstrap.warp` takes them; None: not at all.
    """

    images: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    indices: np.ndarray
    affines: np.ndarray | None = None

    def chunk(self, start: int, size: int) -> tuple[np.ndarray, ...]:
        """`size` members from number `start` on: inputs, outputs, affines or None, and which of them count.

        Where there are fewer, one of them is repeated and does not count.
        """
        indices = self.indices[start : start + size]
        missing = size - len(indices)
        images = self.images(np.pad(indices, (0, missing), mode="edge"))
        affines = self.affines
        if affines is not None:
            affines = np.pad(affines[start : start + size], ((0, missing), (0, 0), (0, 0)), mode="edge")
        return *images, affines, np.arange(size) < len(indices)


def one_pass(
    model: Neuralizer,
    params: dict[str, Any],
    target: np.ndarray,
    members: Members,
    classes: np.ndarray | None,
    plan: ContextPlan,
    devices: Sequence[jax.Device],
) -> np.ndarray:
    """What the network says of a target.

    Args:
        model: the network.
        params: its parameters.
        target: float32 `[*spatial, C]`, of a size that can be halved as often as the network does.
        members: its context.
        classes: labels to predict, int `[L]`; None: the outputs are images.
        plan: how many members are computed together.
        devices: that share these.

    Returns:
        float32 `[L, *spatial]`, the probability of each class; of images `[1, *spatial]`.
    """
    mesh = Mesh(np.array(devices), ("members",))
    shared = NamedSharding(mesh, PartitionSpec("members"))
    params, target = jax.device_put((params, target), NamedSharding(mesh, PartitionSpec()))
    size = bucket_size(len(members.indices)) if plan.chunk is None else plan.chunk
    size += -size % len(devices)
    if plan.chunk is None:
        arrays = jax.device_put(members.chunk(0, size), shared)
        return _together(partial(_forward, model, params, target, *arrays), model, target, size, classes)

    def chunks(label):
        for start in range(0, len(members.indices), size):
            *images, affines, valid = jax.device_put(members.chunk(start, size), shared)
            yield *_context(*images, affines, label), valid

    def output(label):
        return apply_in_chunks(model, params, target, partial(chunks, label), keep=plan.keep)

    if classes is None:
        return np.asarray(output(None)[None, ..., 0])
    return np.stack([_probability(model, output(label)[..., 0]) for label in classes])


def _together(forward, model, target, size, classes):
    """Scores from all members at once; so many classes at a time as memory allows."""
    if classes is None:
        return np.asarray(forward(None))
    widest = model.features if isinstance(model.features, int) else max(model.features)
    at_once = max(1, _BATCH_BYTES // (4 * size * widest * int(np.prod(target.shape[:-1]))))
    at_once = min(at_once, len(classes))
    # Every call has the same number of classes, so that one program serves them all.
    padded = np.pad(classes, (0, -len(classes) % at_once), mode="edge")
    return np.concatenate([forward(part) for part in padded.reshape(-1, at_once)])[: len(classes)]


@partial(jax.jit, static_argnames="model")
def _forward(model, params, target, context_in, context_out, affines, context_mask, classes):
    """The compiled program: `[L, *spatial]` for the classes, or `[1, *spatial]` where they are None, for images.

    Under `vmap` over the classes, what does not depend on the class (the target's first units) is computed once.
    """

    def output(label):
        context = _context(context_in, context_out, affines, label)
        episode = (x[None] for x in (target, *context, context_mask))
        return model.apply({"params": params}, *episode)[0, ..., 0]

    if classes is None:
        return output(None)[None]
    return _probability(model, jax.vmap(output)(classes))


@jax.jit
def _context(context_in, context_out, affines, label):
    """What the network is given of members: moved, and the outputs' mask of the label where there is one."""
    if affines is not None:
        context_in = jax.vmap(partial(warp, nearest=False))(context_in, affines)
        context_out = jax.vmap(partial(warp, nearest=label is not None))(context_out, affines)
    if label is not None:
        context_out = (context_out == label).astype(jnp.float32)
    return context_in, context_out


def _probability(model, scores):
    return jax.nn.sigmoid(scores) if model.segmentation_sigmoid else jnp.clip(scores, 0, 1)
