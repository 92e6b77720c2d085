"""The optimizer: Adam, with a warm-up, a decay and a clip of the gradient where the configuration asks for them."""

import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from neuralizer_jax.errors import InputError

DECAYS = ("constant", "cosine")


def make_optimizer(config: ConfigDict) -> optax.GradientTransformation:
    """Adam as `config.train` says.

    Raises:
        InputError: for a setting out of its range.
    """
    if config.gradient_clip < 0:
        raise InputError(f"train.gradient_clip: {config.gradient_clip}, expected a norm, or 0 for no clip")
    # The identity has the clip's state, so that a checkpoint fits with and without.
    clip = optax.clip_by_global_norm(config.gradient_clip) if config.gradient_clip else optax.identity()
    return optax.chain(clip, optax.adam(learning_rate(config)))


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
