"""One pass of the network: prepared target and context set in, scores out.

Several devices share the context pairs; XLA averages over them.
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

# Prepared context inputs `[n, *spatial, C]` and outputs `[n, *spatial, 1]` for indices `[n]`.
Images = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

# Bytes of the widest activation of the classes that are predicted together.
_BATCH_BYTES = 1 << 29


@dataclass(frozen=True)
class Members:
    """The context pairs of one pass, prepared when they are needed.

    Attributes:
        images: returns prepared pairs: images, or images and label maps.
        indices: indices of the pairs, int `[N]`.
        affines: affine map of each pair for `bootstrap.warp`, `[N, dim, dim + 1]`; None: pairs are not moved.
    """

    images: Images
    indices: np.ndarray
    affines: np.ndarray | None = None

    def chunk(self, start: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
        """Returns `size` pairs from `start` on: inputs, outputs, affines, and which count, bool `[size]`.

        Missing pairs are filled with copies that do not count.
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
    """Runs the network on a target, float32 `[*spatial, C]`, and its context set, which the devices share.

    Spatial sizes are multiples of 2^(stages - 1). `classes` are labels to predict, int `[L]`; for an image task None.

    Returns:
        float32 `[L, *spatial]`, the probability of each class; for an image task `[1, *spatial]`, the image.
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
    return np.stack([probability(model, output(label)[..., 0]) for label in classes])


def _together(forward, model, target, size, classes):
    """Computes the scores from all pairs at once, with as many classes at a time as memory allows."""
    if classes is None:
        return np.asarray(forward(None))
    widest = model.features if isinstance(model.features, int) else max(model.features)
    at_once = max(1, _BATCH_BYTES // (4 * size * widest * int(np.prod(target.shape[:-1]))))
    at_once = min(at_once, len(classes))
    # Every call has the same number of classes, so one program is compiled.
    padded = np.pad(classes, (0, -len(classes) % at_once), mode="edge")
    return np.concatenate([forward(part) for part in padded.reshape(-1, at_once)])[: len(classes)]


@partial(jax.jit, static_argnames="model")
def _forward(model, params, target, context_in, context_out, affines, context_mask, classes):
    """The compiled program: scores `[L, *spatial]` of the classes, or the image `[1, *spatial]` if they are None.

    `vmap` over the classes computes the target's first units, which do not depend on the class, once.
    """

    def output(label):
        context = _context(context_in, context_out, affines, label)
        episode = (x[None] for x in (target, *context, context_mask))
        return model.apply({"params": params}, *episode)[0, ..., 0]

    if classes is None:
        return output(None)[None]
    return probability(model, jax.vmap(output)(classes))


@jax.jit
def _context(context_in, context_out, affines, label):
    """Moves the pairs by their affine maps, and turns label maps into masks of the label."""
    if affines is not None:
        context_in = jax.vmap(partial(warp, nearest=False))(context_in, affines)
        context_out = jax.vmap(partial(warp, nearest=label is not None))(context_out, affines)
    if label is not None:
        context_out = (context_out == label).astype(jnp.float32)
    return context_in, context_out


def probability(model: Neuralizer, scores: jax.Array) -> jax.Array:
    """The probability of a class from the scores of the network, which are linear or go through a sigmoid."""
    return jax.nn.sigmoid(scores) if model.segmentation_sigmoid else jnp.clip(scores, 0, 1)
