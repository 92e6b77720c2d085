"""The state of training: a pytree that each training step takes and returns."""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct
from ml_collections import ConfigDict

from neuralizer_jax.errors import InputError
from neuralizer_jax.losses import episode_loss
from neuralizer_jax.model import Neuralizer
from neuralizer_jax.training.optimizer import make_optimizer
from neuralizer_jax.weights import architecture, init_params, load_weights
from neuralizer_jax.weights.parameters import Params
from neuralizer_jax.weights.widen import can_widen, widen

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


class TrainState(struct.PyTreeNode):
    """The state of training. Its leaves are the first five attributes; the others are static.

    Attributes:
        step: int32, number of updates made.
        params: of the model, float32.
        average: exponential moving average (EMA) of the parameters, or None.
        opt_state: of the optimizer.
        failed: bool, whether a loss or gradient was not finite; from then on nothing is updated.
        model: the network.
        optimizer: turns gradients into updates.
        loss: `episode_loss` with the settings of the configuration.
        accumulate: number of parts that a device splits its rows into; one part is in memory at a time.
        ema_decay: weight of the old average in an update of `average`.
    """

    step: jax.Array
    params: Params
    average: Params | None
    opt_state: optax.OptState
    failed: jax.Array
    model: nn.Module = struct.field(pytree_node=False)
    optimizer: optax.GradientTransformation = struct.field(pytree_node=False)
    loss: Callable = struct.field(pytree_node=False)
    accumulate: int = struct.field(pytree_node=False)
    ema_decay: float = struct.field(pytree_node=False)

    @property
    def evaluated_params(self) -> Params:
        """The parameters that are validated and exported: the average if there is one."""
        return self.params if self.average is None else self.average


def create_state(config: ConfigDict, key: jax.Array, model: nn.Module | None = None) -> TrainState:
    """The state before the first training step.

    Args:
        config: of the experiment; `model` and `train` are read.
        key: random key of the initial parameters.
        model: a network with its own block or aggregation; None: `build_model(config.model)`.

    Raises:
        InputError: an unknown or impossible setting.

    Example:
        >>> from neuralizer_jax.experiment_config import load_config
        >>> state = create_state(load_config("smoke"), jax.random.key(0))
        >>> int(state.step), state.model.features
        (0, 16)
    """
    if config.train.accumulate < 1:
        raise InputError(f"train.accumulate: {config.train.accumulate}, expected 1 or more parts of a batch")
    for name in ("sigma_squared", "dice_sharpness"):
        if not config.train[name] >= 0:
            raise InputError(f"train.{name}: {config.train[name]}, expected 0 or more")
    if not 0 < config.train.dice_threshold < 1:
        raise InputError(f"train.dice_threshold: {config.train.dice_threshold}, expected more than 0, less than 1")
    if not 0 <= config.train.ema_decay < 1:
        raise InputError(f"train.ema_decay: {config.train.ema_decay}, expected 0 to less than 1")
    model = model or build_model(config.model)
    optimizer = make_optimizer(config.train)
    params = _load(model, config.train.init_from, key) if config.train.init_from else init_params(model, key)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        average=jax.tree.map(jnp.copy, params) if config.train.ema_decay else None,
        opt_state=optimizer.init(params),
        failed=jnp.zeros((), bool),
        model=model,
        optimizer=optimizer,
        loss=partial(
            episode_loss,
            segmentation_sigmoid=model.segmentation_sigmoid,
            **{name: config.train[name] for name in ("sigma_squared", "dice_sharpness", "dice_threshold")},
        ),
        accumulate=config.train.accumulate,
        ema_decay=config.train.ema_decay,
    )


def _load(model: nn.Module, weights: str, key: jax.Array) -> Params:
    """The parameters of a weights file or of shipped weights, widened if their network is narrower than `model`."""
    found, params = load_weights(weights)
    if isinstance(model, Neuralizer) and can_widen(found, model):
        return widen(params, model, key)
    described, expected = architecture.describe(found), architecture.describe(model)
    if described != expected:
        name = next(name for name in expected if described.get(name) != expected[name])
        raise InputError(
            f"train.init_from: {weights} has {name} {described.get(name)!r}, expected {expected[name]!r} of the "
            "configuration"
        )
    return params


def build_model(config: ConfigDict) -> nn.Module:
    """The network that `config.model` describes: three input channels, one output channel, 2-D.

    Raises:
        InputError: an unknown architecture or dtype, or a number out of its range.

    Example:
        >>> from neuralizer_jax.experiment_config import load_config
        >>> model = build_model(load_config("baseline_unet:subjects=1").model)
        >>> type(model).__name__, model.features
        ('UNet', 64)
    """
    if config.dtype not in DTYPES:
        raise InputError(f"config.model: dtype {config.dtype!r}, expected {' or '.join(DTYPES)}")
    described = {name: config[name] for name in ("architecture", "features", "stages", "segmentation_sigmoid")}
    shape = {"in_channels": 3, "out_channels": 1, "convs": 2, "dim": 2}
    model = architecture.build(described | shape, "config.model")
    return model.clone(dtype=DTYPES[config.dtype], remat=config.remat)
