"""Prediction on plain NumPy arrays: a target and example pairs in, the target's output out.

`predict` checks and prepares the arrays (`preprocess.py`), decides how many context members are computed together
(`context_plan.py`), runs the network once for every bootstrap draw (`bootstrap.py`, `inference_pass.py`), and puts the
results together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.inference.bootstrap import draw_affines, draw_members
from neuralizer_jax.inference.chunks import can_be_chunked
from neuralizer_jax.inference.one_pass import Members, one_pass
from neuralizer_jax.inference.plan import ContextPlan, plan_context
from neuralizer_jax.intensity import NORMALIZATIONS
from neuralizer_jax.intensity import normalize as normalize_image
from neuralizer_jax.model import Neuralizer
from neuralizer_jax.preprocess import pad_to_multiple

TASKS = ("image", "segmentation")


@dataclass(frozen=True)
class Prediction:
    """What the model predicts for one target.

    Attributes:
        mean: float32 `[*spatial]`, the average over the bootstrap draws. For the task `image`, an image in the scale of
            the (normalized) context outputs; for a segmentation of one class, its probability; for a segmentation of L
            classes `[L, *spatial]`, the probability of each.
        std: the standard deviation over the draws, of the same shape; zero where there is one draw.
        labels: for a segmentation, the predicted label of each pixel, int `[*spatial]`: 0 or one of `label_values`.
        label_values: for a segmentation, the label of each class, ascending, as in the context outputs.
    """

    mean: np.ndarray
    std: np.ndarray
    labels: np.ndarray | None = None
    label_values: tuple[int, ...] = ()


def predict(
    model: nn.Module,
    params: dict[str, Any],
    target: np.ndarray,
    context_in: np.ndarray,
    context_out: np.ndarray,
    *,
    task: str = "image",
    label_values: Sequence[int] | None = None,
    normalize: str = "auto",
    bootstrap: int = 0,
    bootstrap_size: int | None = None,
    augment: bool = False,
    seed: int = 0,
    context_chunk: int | None = None,
    keep_activations: bool = False,
    devices: Sequence[jax.Device] | None = None,
    on_draw: Callable[[], None] = lambda: None,
) -> Prediction:
    """Predicts the output of a target from example pairs.

    Args:
        model: a `Neuralizer`, as `load_weights` returns it.
        params: its parameters.
        target: `[*spatial]` or `[*spatial, C]`; `*spatial` is `H, W` for a 2-D model.
        context_in: `[N, *spatial]` or `[N, *spatial, C]`, the inputs of the example pairs.
        context_out: `[N, *spatial]` or `[N, *spatial, 1]`, their outputs: images, or for a segmentation masks or label
            maps with whole numbers, 0 for the background.
        task: `image`, or `segmentation` for masks and label maps.
        label_values: the labels to segment, all others count as background; None: all that occur in `context_out`.
        normalize: scaling of images to [0, 1], each image and channel by itself (`intensity.normalize`). Scale slices
            of volumes by their volumes first, and pass `none`.
        bootstrap: number of context sets to resample and average over; 0: one pass over the context as it is.
        bootstrap_size: members of a resampled context set; None: 32, or N if that is more.
        augment: move each resampled pair by a small random affine map.
        seed: of the resampling; the same seed gives the same result.
        context_chunk: context members that are computed together. The memory for activations does then not grow with N,
            for about four times the work; the result is the same but for rounding. None: the fastest way that fits in
            the free memory, whatever N.
        keep_activations: with `context_chunk`, keep what each member needs for the next block: no more work, and about
            half the memory of all members together.
        devices: that share the members that are computed together; None: JAX's default one alone.
        on_draw: called after each draw, to show progress.

    Returns:
        A `Prediction`. For several classes, `labels` is the class with the highest score, background included: the
        background is predicted as a class of its own.

    Raises:
        InputError: arrays whose shapes do not fit, that are not finite or constant; context outputs of a segmentation
            that are not whole numbers or hold no label; options out of range.
    """
    _check_options(model, task, normalize, bootstrap, bootstrap_size, augment, seed)
    _check_chunks(model, context_chunk, keep_activations)
    target = _with_channels("target", target, model.dim, model.in_channels)
    context_in = _with_channels("context_in", context_in, model.dim, model.in_channels, stack=True)
    context_out = _with_channels("context_out", context_out, model.dim, 1, stack=True)
    _check_sizes(target, context_in, context_out)
    for name, images in (("target", target[None]), ("context_in", context_in)):
        if constant := [index for index, image in enumerate(images) if image.min() == image.max()]:
            member = f" (member {constant[0]})" if name == "context_in" else ""
            raise InputError(f"{name}{member}: every pixel is {images[constant[0]].flat[0]:g}, expected an image")

    classes = None
    if task == "segmentation":
        label_values = _labels(context_out, label_values)
        # Where classes compete, the background is one of them: whatever is none of the labels.
        classes = np.array(label_values if len(label_values) == 1 else (0, *label_values), np.int32)
    multiple = 2 ** (model.stages - 1)
    target, inside = pad_to_multiple(_normalized(target, normalize), multiple, tuple(range(model.dim)))
    images = partial(_prepared, context_in, context_out, normalize, classes, multiple)
    devices = devices or [_default_device()]
    size = bootstrap_size or max(32, len(context_in)) if bootstrap else len(context_in)
    plan = ContextPlan(context_chunk, keep_activations)
    if context_chunk is None:
        plan = plan_context(model, target.shape[:-1], size, devices)
    if plan.chunk is None or plan.keep:
        # Small beside the activations that will be in memory: prepared once, and not for each draw and class.
        images = partial(_chosen, *images(np.arange(len(context_in))))

    draws = []
    for draw in range(max(1, bootstrap)):
        indices = draw_members(seed, draw, len(context_in), size) if bootstrap else np.arange(size)
        affines = draw_affines(seed, draw, size, model.dim) if augment else None
        draws.append(one_pass(model, params, target, Members(images, indices, affines), classes, plan, devices))
        on_draw()
    scores = np.stack(draws)[(..., *inside)]
    mean, std = scores.mean(0), scores.std(0)
    if classes is None:
        return Prediction(mean[0], std[0])
    if len(classes) == 1:
        return Prediction(mean[0], std[0], np.where(mean[0] > 0.5, classes[0], 0), label_values)
    return Prediction(mean[1:], std[1:], classes[mean.argmax(0)], label_values)


def _default_device():
    chosen = jax.config.jax_default_device
    return chosen if isinstance(chosen, jax.Device) else jax.local_devices(backend=chosen)[0]


def _normalized(image, how):
    """`[*spatial, C]` float32, each channel scaled by itself."""
    return np.stack([normalize_image(channel, how=how) for channel in np.moveaxis(image, -1, 0)], axis=-1)


def _prepared(context_in, context_out, normalize, classes, multiple, indices):
    """Members as the network takes them: scaled, padded; label maps as int32 without labels that are not wanted."""
    axes = tuple(range(1, context_in.ndim - 1))
    images = np.stack([_normalized(context_in[index], normalize) for index in indices])
    if classes is None:
        outputs = np.stack([_normalized(context_out[index], normalize) for index in indices])
    else:
        outputs = np.stack([_whole_numbers(context_out[index]) for index in indices])
        outputs = np.where(np.isin(outputs, classes), outputs, 0)
    return pad_to_multiple(images, multiple, axes)[0], pad_to_multiple(outputs, multiple, axes)[0]


def _check_options(model, task, normalize, bootstrap, bootstrap_size, augment, seed):
    if not isinstance(model, Neuralizer):
        raise InputError(f"{type(model).__name__} takes no context, expected a Neuralizer")
    if task not in TASKS:
        raise InputError(f"task is {task!r}, expected {' or '.join(TASKS)}")
    if normalize not in NORMALIZATIONS:
        raise InputError(f"normalize is {normalize!r}, expected {', '.join(NORMALIZATIONS)}")
    if bootstrap < 0:
        raise InputError(f"bootstrap is {bootstrap}, expected the number of context sets to draw, 0 for none")
    if seed < 0:
        raise InputError(f"seed is {seed}, expected 0 or more")
    if bootstrap_size is not None and bootstrap_size < 1:
        raise InputError(f"bootstrap_size is {bootstrap_size}, expected at least 1 member")
    if not bootstrap and (augment or bootstrap_size is not None):
        raise InputError("augment and bootstrap_size need bootstrap, expected a number of context sets to draw")


def _check_chunks(model, context_chunk, keep_activations):
    if context_chunk is None and keep_activations:
        raise InputError("keep_activations needs context_chunk, expected a number of members to compute together")
    if context_chunk is not None and context_chunk < 1:
        raise InputError(f"context_chunk is {context_chunk}, expected at least 1 member")
    if context_chunk is not None and not can_be_chunked(model):
        raise InputError("context_chunk: this network has blocks of its own, expected the published ones")


def _with_channels(name, x, dim, channels, *, stack=False):
    """`[*spatial]` or `[*spatial, C]` -> finite `[*spatial, C]`, C at most `channels`; stacked by member or not."""
    x = np.asarray(x)
    form = ", ".join(["N"] * stack + ["H", "W", "D"][:dim])
    if x.ndim == dim + stack:
        x = x[..., None]
    if x.ndim != dim + 1 + stack or not 1 <= x.shape[-1] <= channels or 0 in x.shape:
        raise InputError(f"{name} has shape {x.shape}, expected [{form}] or [{form}, C] with C from 1 to {channels}")
    if x.dtype.kind not in "biuf":
        raise InputError(f"{name} holds {x.dtype}, expected real numbers")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise InputError(f"{name} holds {np.sum(~np.isfinite(x))} NaN or infinite values, expected finite numbers")
    return x


def _check_sizes(target, context_in, context_out):
    if len(context_in) != len(context_out):
        raise InputError(
            f"context has {len(context_in)} inputs and {len(context_out)} outputs, expected one output an input"
        )
    for name, x in (("context_in", context_in), ("context_out", context_out)):
        if x.shape[1:-1] != target.shape[:-1]:
            raise InputError(f"{name} has size {x.shape[1:-1]}, expected that of the target, {target.shape[:-1]}")


def _chosen(context_in, context_out, indices):
    return context_in[indices], context_out[indices]


def _whole_numbers(context_out):
    """Label maps as int32. Raises InputError where a value is not a whole number of that type."""
    # float64 holds every whole number of the type.
    rounded = np.round(context_out.astype(np.float64)).clip(-(2**31), 2**31 - 1).astype(np.int32)
    if (wrong := rounded != context_out).any():
        raise InputError(
            f"context_out holds {context_out[wrong].flat[0]:g}, expected masks or label maps with whole numbers"
        )
    return rounded


def _labels(context_out, label_values):
    """The labels to segment, ascending. Raises InputError where there are none, or one occurs in no context output."""
    present = {value for labels in context_out for value in np.unique(_whole_numbers(labels)).tolist()} - {0}
    wanted = present if label_values is None else set(label_values)
    if absent := sorted(wanted - present):
        raise InputError(f"label {absent[0]} occurs in no context output, expected some of {sorted(present)}")
    if not wanted:
        raise InputError("context_out is 0 everywhere, expected at least one labelled pixel")
    return tuple(sorted(wanted))
