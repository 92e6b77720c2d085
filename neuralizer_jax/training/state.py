"""All that training changes, and what it does not change but needs to know: one value that goes from step to step."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct
from ml_collections import ConfigDict

from neuralizer_jax.errors import InputError
from neuralizer_jax.training.optimizer import make_optimizer
from neuralizer_jax.weights import architecture, init_params, load_weights
from neuralizer_jax.weights.architecture import describe
from neuralizer_jax.weights.parameters import Params
from neuralizer_jax.weights.widen import can_widen, widen

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


class TrainState(struct.PyTreeNode):
    """The state of training: a pytree of the first five; the others are fixed, part of its structure.

    Attributes:
        step: int32, number of updates made.
        params: of the model, float32.
        average: moving average of the parameters, or None.
        opt_state: of the optimizer.
        failed: bool, whether a loss or gradient was not finite; from then on nothing is updated.
        model: the network.
        optimizer: makes updates of gradients.
        sigma_squared: of the loss of images.
        dice_sharpness: of the loss of segmentations.
        dice_threshold: of the loss of segmentations.
        accumulate: parts that a device's share of the batch is split into, one in memory at a time.
        ema_decay: share of the average that stays at a step.
    """

    step: jax.Array
    params: Params
    average: Params | None
    opt_state: optax.OptState
    failed: jax.Array
    model: nn.Module = struct.field(pytree_node=False)
    optimizer: optax.GradientTransformation = struct.field(pytree_node=False)
    sigma_squared: float = struct.field(pytree_node=False)
    dice_sharpness: float = struct.field(pytree_node=False)
    dice_threshold: float = struct.field(pytree_node=False)
    accumulate: int = struct.field(pytree_node=False)
    ema_decay: float = struct.field(pytree_node=False)

    @property
    def evaluated_params(self) -> Params:
        """The parameters that are validated and exported: the average where there is one."""
        return self.params if self.average is None else self.average


def create_state(config: ConfigDict, key: jax.Array, model: nn.Module | None = None) -> TrainState:
    """The state before the first step.

    Args:
        config: of the experiment; its `model` and `train` are read.
        key: of the random numbers that the parameters are drawn with.
        model: a network with a block or aggregation of one's own; None: `build_model` of the configuration.

    Raises:
        InputError: for an unknown or impossible setting.
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
    params = _start(model, config.train.init_from, key) if config.train.init_from else init_params(model, key)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        average=jax.tree.map(jnp.copy, params) if config.train.ema_decay else None,
        opt_state=optimizer.init(params),
        failed=jnp.zeros((), bool),
        model=model,
        optimizer=optimizer,
        sigma_squared=config.train.sigma_squared,
        dice_sharpness=config.train.dice_sharpness,
        dice_threshold=config.train.dice_threshold,
        accumulate=config.train.accumulate,
        ema_decay=config.train.ema_decay,
    )


def _start(model: nn.Module, weights: str, key: jax.Array) -> Params:
    """The parameters of weights that come along or of a weights file: of the same network, or of a narrower one."""
    found, params = load_weights(weights)
    if can_widen(found, model):
        return widen(params, model, key)
    described, expected = describe(found), describe(model)
    if described != expected:
        differing = next(name for name in expected if described.get(name) != expected[name])
        raise InputError(
            f"train.init_from: {weights} has {differing} {described.get(differing)!r}, expected {expected[differing]!r} of"
            " the configuration"
        )
    return params


def build_model(config: ConfigDict) -> nn.Module:
    """The network that `config.model` describes: three input channels, one output channel, 2-D.

    Raises:
        InputError: for an unknown architecture or dtype, or a number out of its range.
    """
    if config.dtype not in DTYPES:
        raise InputError(f"config.model: dtype {config.dtype!r}, expected {' or '.join(DTYPES)}")
    described = {name: config[name] for name in ("architecture", "features", "stages", "segmentation_sigmoid")}
    shape = {"in_channels": 3, "out_channels": 1, "convs": 2, "dim": 2}
    model = architecture.build(described | shape, "config.model")
    return model.clone(dtype=DTYPES[config.dtype], remat=config.remat)
