"""The optimizer: Adam or Muon, with gradient clipping and a learning-rate schedule."""

from functools import partial

import jax
import optax
import optax.contrib
from ml_collections import ConfigDict

from neuralizer_jax.errors import InputError

DECAYS = ("constant", "cosine")

# Root mean square of Muon's updates, as a multiple of the learning rate; about that of Adam's updates (Liu et al. 2025,
# arXiv 2502.16982).
_MUON_RMS = 0.2


def make_optimizer(config: ConfigDict) -> optax.GradientTransformation:
    """Adam or Muon, with the gradient clipping and the learning-rate schedule of `config.train`.

    Muon (Jordan 2024, https://kellerjordan.github.io/posts/muon) makes the update of each weight matrix orthogonal. The
    matrix of a convolution maps the pixels and channels of a window to the output channels. Biases are updated by Adam.

    Raises:
        InputError: a setting out of its range.
    """
    if config.gradient_clip < 0:
        raise InputError(f"train.gradient_clip: {config.gradient_clip}, expected a norm, or 0 for no clip")
    # `identity` and the clip have the same state, so a checkpoint fits both.
    clip = optax.clip_by_global_norm(config.gradient_clip) if config.gradient_clip else optax.identity()
    if config.optimizer not in OPTIMIZERS:
        raise InputError(f"train.optimizer: {config.optimizer!r}, expected {' or '.join(OPTIMIZERS)}")
    return optax.chain(clip, OPTIMIZERS[config.optimizer](learning_rate(config)))


def learning_rate(config: ConfigDict) -> optax.Schedule:
    """The learning rate of each training step, counted from 0.

    It rises linearly over the first `warmup_steps` steps to `config.learning_rate`, then stays there ("constant") or
    follows half a cosine wave to 0 at `config.steps` ("cosine", Loshchilov and Hutter,
    https://arxiv.org/abs/1608.03983).

    Raises:
        InputError: a setting out of its range.

    Example:
        >>> config = ConfigDict({"learning_rate": 0.5, "warmup_steps": 2, "steps": 10, "decay": "cosine"})
        >>> [round(float(learning_rate(config)(step)), 3) for step in (0, 1, 2, 6, 10)]
        [0.25, 0.5, 0.5, 0.25, 0.0]
    """
    peak, warmup, steps, decay = config.learning_rate, config.warmup_steps, config.steps, config.decay
    if decay not in DECAYS:
        raise InputError(f"train.decay: {decay!r}, expected {' or '.join(DECAYS)}")
    if not peak > 0:
        raise InputError(f"train.learning_rate: {peak}, expected more than 0")
    if not 0 <= warmup < steps:
        raise InputError(f"train.warmup_steps: {warmup}, expected 0 to less than the {steps} steps")
    rise = optax.linear_schedule(peak / max(warmup, 1), peak, max(warmup - 1, 1))
    after = optax.cosine_decay_schedule(peak, steps - warmup) if decay == "cosine" else optax.constant_schedule(peak)
    return optax.join_schedules([rise, after], [warmup])


def _matrices(params: optax.Params) -> optax.Params:
    """The input and output axes of each weight `[*window, in, out]`; None for biases."""
    axes = optax.contrib.MuonDimensionNumbers
    return jax.tree.map(lambda x: axes(tuple(range(x.ndim - 1)), (x.ndim - 1,)) if x.ndim > 1 else None, params)


OPTIMIZERS = {
    "adam": optax.adam,
    "muon": partial(optax.contrib.muon, muon_weight_dimension_numbers=_matrices, consistent_rms=_MUON_RMS),
}
