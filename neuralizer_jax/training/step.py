"""The training step and the evaluation step: pure functions of a state and a batch. `parallel` compiles them.

Episodes are dicts of arrays: `target_in` `[B, H, W, 3]`, `target_out` `[B, H, W, 1]`, `context_in` `[B, N, H, W, 3]`,
`context_out` `[B, N, H, W, 1]`, `context_mask` bool `[B, N]`, `is_segmentation` bool `[B]`, `task` int32 `[B]`.
"""

from functools import partial

import jax
import jax.numpy as jnp
import optax

from neuralizer_jax.errors import InputError
from neuralizer_jax.forward import forward
from neuralizer_jax.losses import task_output
from neuralizer_jax.metrics import dice, psnr
from neuralizer_jax.training.state import TrainState
from neuralizer_jax.weights.parameters import Params

Arrays = dict[str, jax.Array]


def train_step(state: TrainState, episode: Arrays, axis_name: str | None = None) -> tuple[TrainState, Arrays]:
    """Updates the parameters with the gradient of the batch's mean loss.

    If the loss or the gradient is not finite, `failed` is set and nothing else changes, in this and in all later steps.

    Args:
        state: of training.
        episode: a batch; its rows are split into `state.accumulate` parts, whose gradients are averaged.
        axis_name: mapped axis of the devices that share the batch; None: `episode` is the whole batch.

    Returns:
        The new state, and metrics before the update: `loss`, `losses` `[B]`, `task` `[B]`, `gradient_norm` (over all
        parameters, before clipping) and `failed`.

    Raises:
        InputError: the batch cannot be split into equal parts.

    Example:
        >>> from neuralizer_jax.experiment_config import load_config
        >>> from neuralizer_jax.training.state import create_state
        >>> config = load_config("smoke")
        >>> config.model.features, config.model.stages = 2, 1
        >>> image = jnp.linspace(0, 1, 64).reshape(1, 8, 8, 1)
        >>> episode = {
        ...     "target_in": image.repeat(3, -1),  # [B, H, W, 3]
        ...     "target_out": image,
        ...     "context_in": image[:, None].repeat(3, -1),  # [B, N, H, W, 3]
        ...     "context_out": image[:, None],
        ...     "context_mask": jnp.ones((1, 1), bool),
        ...     "is_segmentation": jnp.array([False]),
        ...     "task": jnp.array([0]),
        ... }
        >>> state, metrics = jax.jit(train_step)(create_state(config, jax.random.key(0)), episode)
        >>> int(state.step), bool(metrics["failed"])
        (1, False)
    """

    def mean_loss(params, part):
        losses = state.loss(forward(state.model, params, part), part)
        return losses.mean(), losses

    def add_part(total, part):
        gradient, losses = jax.grad(mean_loss, has_aux=True)(state.params, part)
        return jax.tree.map(jnp.add, total, gradient), losses

    zeros = jax.tree.map(jnp.zeros_like, state.params)
    total, losses = jax.lax.scan(add_part, zeros, _split(episode, state.accumulate))
    losses = losses.T.reshape(-1)
    loss, gradient = losses.mean(), jax.tree.map(lambda value: value / state.accumulate, total)
    if axis_name is not None:
        loss, gradient = jax.lax.pmean((loss, gradient), axis_name)
    norm = optax.tree.norm(gradient)
    failed = state.failed | ~jnp.isfinite(loss) | ~jnp.isfinite(norm)

    updates, opt_state = state.optimizer.update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    average = _average(state, params)
    updated = state.replace(step=state.step + 1, params=params, average=average, opt_state=opt_state)
    state = jax.tree.map(partial(jnp.where, failed), state, updated).replace(failed=failed)
    metrics = {"loss": loss, "losses": losses, "task": episode["task"], "gradient_norm": norm, "failed": failed}
    return state, metrics


def eval_step(state: TrainState, episode: Arrays) -> Arrays:
    """Scores the predictions of a batch.

    Returns:
        `losses`, `dice` and `psnr` (dB) `[B]`, and `prediction` `[B, H, W, 1]`: probabilities of a segmentation where
        the network's output is logits.
    """
    output = forward(state.model, state.evaluated_params, episode)
    prediction = task_output(output, episode["is_segmentation"], state.model.segmentation_sigmoid)
    truth = episode["target_out"]
    return {
        "losses": state.loss(output, episode),
        "dice": dice(prediction, truth),
        "psnr": psnr(prediction, truth),
        "prediction": prediction,
    }


def _average(state: TrainState, params: Params) -> Params | None:
    """The average after a step. Its decay grows over the first steps: it soon forgets the initial parameters."""
    if state.average is None:
        return None
    decay = jnp.minimum(state.ema_decay, (state.step + 1) / (state.step + 10))
    return optax.incremental_update(params, state.average, 1 - decay)


def _split(episode: Arrays, parts: int) -> Arrays:
    """`[B, ...] -> [parts, B / parts, ...]`; part p has the rows p, p + parts, ..., equally many of each device."""
    rows = len(episode["task"])
    if rows % parts:
        raise InputError(
            f"train.accumulate: {parts}, expected a divisor of {rows}, the episodes of a batch on one device"
        )
    return jax.tree.map(lambda x: x.reshape(rows // parts, parts, *x.shape[1:]).swapaxes(0, 1), episode)
