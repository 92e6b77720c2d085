"""What tests of training share: a configuration, random episodes, and a network that compiles in no time."""

from functools import cache, partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from neuralizer_jax.losses import episode_loss
from neuralizer_jax.training.optimizer import make_optimizer
from neuralizer_jax.training.state import TrainState

# Options of `neuralizer train --config smoke` for a small network. Tests with the same options share compiled programs.
SMALL_TRAINING = (
    "--config.model.features=4",
    "--config.model.stages=2",
    "--config.validation.episodes=1",
    "--config.data.size=32",
)


def train_config(**changes):
    settings = {"steps": 100, "batch_size": 4, "learning_rate": 1e-3, "warmup_steps": 0, "decay": "constant"}
    settings |= {"gradient_clip": 0.0, "accumulate": 1, "ema_decay": 0.0, "init_from": ""}
    settings |= {"optimizer": "adam", "sigma_squared": 0.05, "dice_sharpness": 0.0, "dice_threshold": 0.5}
    return ConfigDict(settings | changes)


def model_config(**changes):
    settings = {"architecture": "neuralizer", "features": 4, "stages": 2, "segmentation_sigmoid": False}
    return ConfigDict(settings | {"dtype": "float32", "remat": False} | changes)


def episodes(rows=4, members=3, size=8, seed=0):
    """Segmentations (tasks 0 and 1) and images (task 2) in turn, without any sense."""
    rng = np.random.default_rng(seed)
    task = np.arange(rows, dtype=np.int32) % 3
    is_segmentation = task < 2
    outputs = rng.random((rows, 1 + members, size, size, 1), np.float32)
    outputs[is_segmentation] = outputs[is_segmentation].round()
    return {
        "target_in": rng.random((rows, size, size, 3), np.float32),
        "target_out": outputs[:, 0],
        "context_in": rng.random((rows, members, size, size, 3), np.float32),
        "context_out": outputs[:, 1:],
        "context_mask": np.arange(members) < rng.integers(1, members + 1, (rows, 1)),
        "is_segmentation": is_segmentation,
        "task": task,
    }


class Blend(nn.Module):
    """Called as `Neuralizer` is: weighs the target, its square and the mean of the context's outputs."""

    segmentation_sigmoid: bool = False

    @nn.compact
    def __call__(self, target_in, context_in, context_out, context_mask):
        weights = self.param("weights", nn.initializers.constant(0.5), (3,))
        valid = context_mask[:, :, None, None, None]
        mean = jnp.where(valid, context_out, 0).sum(1) / valid.sum(1)
        target = target_in[..., :1]
        return weights[0] * target + weights[1] * target**2 + weights[2] * mean


def state_of(model, params, **changes):
    config = train_config(**changes)
    optimizer = make_optimizer(config)
    return TrainState(
        step=np.int32(0),
        params=params,
        average=jax.tree.map(np.array, params) if config.ema_decay else None,
        opt_state=optimizer.init(params),
        failed=np.bool_(False),
        model=model,
        optimizer=optimizer,
        loss=partial(episode_loss, segmentation_sigmoid=model.segmentation_sigmoid, sigma_squared=config.sigma_squared),
        accumulate=config.accumulate,
        ema_decay=config.ema_decay,
    )


@cache  # another optimizer is another program
def blend_state(segmentation_sigmoid=False, **changes):
    return state_of(Blend(segmentation_sigmoid), {"weights": np.full(3, 0.5, np.float32)}, **changes)
