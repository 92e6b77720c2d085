"""The optimizer: Adam or Muon, with warm-up, decay and a clip of the gradient where the configuration asks for them."""

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from ml_collections import ConfigDict

from neuralizer_jax.errors import InputError

DECAYS = ("constant", "cosine")

# Root mean square of Muon's updates over the learning rate, about that of Adam's (Liu et al. 2025, arXiv 2502.16982).
_MUON_RMS = 0.2


def make_optimizer(config: ConfigDict) -> optax.GradientTransformation:
    """Adam or Muon (Jordan 2024, https://kellerjordan.github.io/posts/muon) as `config.train` says.

    Muon makes the update of each weight matrix orthogonal; of a convolution the matrix leads from a window's pixels and
    channels to the output's channels. Biases are updated as by Adam.

    Raises:
        InputError: for a setting out of its range.
    """
    if config.gradient_clip < 0:
        raise InputError(f"train.gradient_clip: {config.gradient_clip}, expected a norm, or 0 for no clip")
    # The identity has the clip's state, so that a checkpoint fits with and without.
    clip = optax.clip_by_global_norm(config.gradient_clip) if config.gradient_clip else optax.identity()
    if config.optimizer not in OPTIMIZERS:
        raise InputError(f"train.optimizer: {config.optimizer!r}, expected {' or '.join(OPTIMIZERS)}")
    return optax.chain(clip, OPTIMIZERS[config.optimizer](learning_rate(config)))


def _muon(rate: optax.Schedule) -> optax.GradientTransformation:
    return optax.contrib.muon(rate, muon_weight_dimension_numbers=_matrices, consistent_rms=_MUON_RMS)


def _matrices(params: optax.Params) -> optax.Params:
    """The axes in and out of each weight `[*window, in, out]`, None for what has one axis."""

    def matrix(param):
        last = param.ndim - 1
        return optax.contrib.MuonDimensionNumbers(tuple(range(last)), (last,)) if last > 0 else None

    return jax.tree.map(matrix, params)


OPTIMIZERS = {"adam": optax.adam, "muon": _muon}


def learning_rate(config: ConfigDict) -> optax.Schedule:
    """The learning rate of each step, counted from 0.

    It rises linearly over the first `warmup_steps` steps to `config.learning_rate`, then stays ("constant") or falls
    along half a cosine wave ("cosine"), to 0 after `config.steps` steps.

    Raises:
        InputError: for a setting out of its range.
    """
    peak, warmup, steps, decay = config.learning_rate, config.warmup_steps, config.steps, config.decay
    if decay not in DECAYS:
        raise InputError(f"train.decay: {decay!r}, expected {' or '.join(DECAYS)}")
    if not peak > 0:
        raise InputError(f"train.learning_rate: {peak}, expected more than 0")
    if not 0 <= warmup < steps:
        raise InputError(f"train.warmup_steps: {warmup}, expected 0 to less than the {steps} steps")

    def rate(step):
        rise = jnp.minimum(1, (step + 1) / max(warmup, 1))
        progress = jnp.clip((step - warmup) / (steps - warmup), 0, 1)
        fall = (1 + jnp.cos(jnp.pi * progress)) / 2 if decay == "cosine" else 1
        return peak * rise * fall

    return rate
