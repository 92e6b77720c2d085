"""Prediction on NumPy arrays: a target and a context set in, the target's output out.

`predict` checks and prepares the arrays, plans how many context pairs are computed together (`plan.py`), runs the
network once per bootstrap draw (`bootstrap.py`, `one_pass.py`), and averages the draws.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.image_formats import whole_numbers
from neuralizer_jax.inference.bootstrap import draw_affines, draw_members
from neuralizer_jax.inference.checks import check_options, chosen_labels
from neuralizer_jax.inference.chunks import can_be_chunked
from neuralizer_jax.inference.memory import free_bytes
from neuralizer_jax.inference.one_pass import Images, Members, one_pass
from neuralizer_jax.inference.plan import ContextPlan, plan_context
from neuralizer_jax.inference.prediction import Prediction
from neuralizer_jax.intensity import normalize as normalize_image
from neuralizer_jax.model import Neuralizer
from neuralizer_jax.preprocess import pad_to_multiple


def predict(
    model: nn.Module,
    params: dict[str, Any],
    target: np.ndarray,
    context_in: np.ndarray,
    context_out: np.ndarray,
    *,
    task: str = "image",
    label_values: Sequence[int] | None = None,
    normalize: str = "percentile",
    bootstrap: int = 0,
    bootstrap_size: int | None = None,
    augment: bool = False,
    seed: int = 0,
    context_chunk: int | None = None,
    keep_activations: bool = False,
    devices: Sequence[jax.Device] | None = None,
    on_draw: Callable[[], object] = lambda: None,
) -> Prediction:
    """Predicts the output of a target from context pairs.

    Args:
        model: a `Neuralizer`, from `load_weights`.
        params: its parameters.
        target: `[*spatial]` or `[*spatial, C]`; `*spatial` is `H, W` for a 2-D network.
        context_in: `[N, *spatial]` or `[N, *spatial, C]`, the inputs of the N context pairs.
        context_out: `[N, *spatial]` or `[N, *spatial, 1]`, their outputs: images, or for a segmentation masks or label
            maps of whole numbers with background 0.
        task: `image`, or `segmentation` for masks and label maps.
        label_values: labels to segment, the others are background; None: all labels in `context_out`.
        normalize: `percentile`: each image and channel is scaled to [0, 1] by itself (`intensity.normalize`), so its
            gain and offset do not matter. `none`: the images are in [0, 1] already, such as slices of prepared datasets
            or of volumes that you scaled as a whole.
        bootstrap: number of context sets to resample and average over; 0: one pass over the context set.
        bootstrap_size: pairs in a resampled context set; None: 32, or N if that is more.
        augment: move each resampled pair by a small random affine map.
        seed: seed of the resampling.
        context_chunk: context pairs that are computed together. Memory then does not grow with N, and the work is
            about four times as much. The result differs by rounding only. None: the fastest way that fits in the free
            memory.
        keep_activations: with `context_chunk`, keep the activations that the next block needs: no more work, and about
            half the memory of all pairs together.
        devices: devices that share the pairs; None: JAX's default device.
        on_draw: called after each draw, to show progress.

    Returns:
        The prediction. With several labels, the background competes as a class of its own, and `labels` is the class
        with the highest score.

    Raises:
        InputError: arrays that do not fit together, are not finite or are constant; context outputs of a segmentation
            that are not whole numbers or hold no label; options out of range.

    Example:
        >>> from neuralizer_jax.weights import init_params
        >>> model = Neuralizer(features=4, stages=2)
        >>> images = np.random.default_rng(0).random((4, 16, 16))
        >>> prediction = predict(model, init_params(model, jax.random.key(0)), images[0], images[1:], images[1:] > 0.5,
        ...                      task="segmentation")
        >>> prediction.mean.shape, prediction.labels.shape, prediction.label_values
        ((16, 16), (16, 16), (1,))
    """
    check_options(
        task=task,
        label_values=label_values,
        normalize=normalize,
        bootstrap=bootstrap,
        bootstrap_size=bootstrap_size,
        augment=augment,
        seed=seed,
        context_chunk=context_chunk,
    )
    if keep_activations and context_chunk is None:
        raise InputError("keep_activations: needs context_chunk, expected a number of pairs to compute together")
    model = check_model(model, context_chunk)
    target = _with_channels("target", target, model.dim, model.in_channels)
    shown = target[..., 0]
    context_in = _with_channels("context_in", context_in, model.dim, model.in_channels, stack=True)
    context_out = _with_channels("context_out", context_out, model.dim, 1, stack=True)
    _check_sizes(target, context_in, context_out)
    for name, image in (("target", target), *((f"context_in (pair {i})", x) for i, x in enumerate(context_in))):
        if image.min() == image.max():
            raise InputError(f"{name}: every pixel is {image.flat[0]:g}, expected an image")

    labels: tuple[int, ...] = ()
    classes = None
    if task == "segmentation":
        present = {value for member in context_out for value in np.unique(_label_map(member)).tolist()}
        labels = chosen_labels(present - {0}, label_values)
        # With several labels, the background competes as a class of its own.
        classes = np.array(labels if len(labels) == 1 else (0, *labels), np.int32)
    multiple = 2 ** (model.stages - 1)
    target, inside = pad_to_multiple(_normalized(target, normalize), multiple, tuple(range(model.dim)))
    images: Images = partial(_prepared, context_in, context_out, normalize, classes, multiple)
    devices = devices or [_default_device()]
    size = bootstrap_size or max(32, len(context_in)) if bootstrap else len(context_in)
    plan = ContextPlan(context_chunk, keep_activations)
    if context_chunk is None:
        plan = plan_context(model, target.shape[:-1], size, devices, free_bytes(devices[0]))
    if plan.chunk is None or plan.keep:
        # Much smaller than the activations, so prepared once for all draws and classes.
        images = partial(_chosen, *images(np.arange(len(context_in))))

    draws = []
    for draw in range(max(1, bootstrap)):
        indices = draw_members(seed, draw, len(context_in), size) if bootstrap else np.arange(size)
        affines = draw_affines(seed, draw, size, model.dim) if augment else None
        draws.append(one_pass(model, params, target, Members(images, indices, affines), classes, plan, devices))
        on_draw()
    scores = np.stack(draws)[(slice(None), slice(None), *inside)]
    mean, std = scores.mean(0), scores.std(0)
    if classes is None:
        return Prediction(mean[0], std[0], target=shown)
    if len(classes) == 1:
        return Prediction(mean[0], std[0], np.where(mean[0] > 0.5, classes[0], 0), labels, shown)
    return Prediction(mean[1:], std[1:], classes[mean.argmax(0)], labels, shown)


def check_model(model: object, context_chunk: int | None) -> Neuralizer:
    """Returns the network, or raises InputError if it has no context, or cannot compute it in chunks where it must."""
    if not isinstance(model, Neuralizer):
        raise InputError(f"{type(model).__name__} takes no context, expected a Neuralizer")
    if context_chunk is not None and not can_be_chunked(model):
        raise InputError("context_chunk: this network has blocks of its own, expected the published ones")
    return model


def _default_device():
    chosen = jax.config.jax_default_device
    return chosen if isinstance(chosen, jax.Device) else jax.local_devices(backend=chosen)[0]


def _normalized(image, how):
    """Scales each channel of `[*spatial, C]` by itself."""
    return np.stack([normalize_image(channel, how=how) for channel in np.moveaxis(image, -1, 0)], axis=-1)


def _prepared(context_in, context_out, normalize, classes, multiple, indices):
    """Scales and pads context pairs; label maps become int32 with the wanted labels."""
    axes = tuple(range(1, context_in.ndim - 1))
    images = np.stack([_normalized(image, normalize) for image in context_in[indices]])
    if classes is None:
        outputs = np.stack([_normalized(image, normalize) for image in context_out[indices]])
    else:
        outputs = np.stack([_label_map(labels) for labels in context_out[indices]])
        outputs = np.where(np.isin(outputs, classes), outputs, 0)
    return pad_to_multiple(images, multiple, axes)[0], pad_to_multiple(outputs, multiple, axes)[0]


def _with_channels(name, x, dim, channels, *, stack=False):
    """Checks an array, or a stack of N, and adds the channel axis where it is missing: `[*spatial, C]`."""
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
    members, outputs = len(context_in), len(context_out)
    if members != outputs:
        raise InputError(f"context has {members} inputs and {outputs} outputs, expected one output for each input")
    for name, x in (("context_in", context_in), ("context_out", context_out)):
        if x.shape[1:-1] != target.shape[:-1]:
            raise InputError(f"{name} has size {x.shape[1:-1]}, expected that of the target, {target.shape[:-1]}")


def _label_map(context_out):
    try:
        return whole_numbers(context_out, np.int32)
    except InputError as error:
        raise InputError(f"context_out {error}") from None


def _chosen(context_in, context_out, indices):
    return context_in[indices], context_out[indices]
