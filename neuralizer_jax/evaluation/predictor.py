"""What is evaluated: a function of episodes. `network` makes one from a model and its parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from neuralizer_jax.case import Case
from neuralizer_jax.errors import InputError
from neuralizer_jax.evaluation.scores import Kind
from neuralizer_jax.forward import forward
from neuralizer_jax.inference.predict import predict
from neuralizer_jax.losses import task_output
from neuralizer_jax.unet import UNet
from neuralizer_jax.weights.parameters import Params

Arrays = Mapping[str, np.ndarray]

# Episodes in a batch, and a bound on the bytes of its widest activation.
MOST_TOGETHER = 8
_BATCH_BYTES = 1 << 29


@dataclass(frozen=True)
class Predictor:
    """A model, or anything else that predicts.

    Attributes:
        name: in the table of scores.
        predict: from a batch of B episodes, all context members valid, to predictions `[B, H, W]`; for a segmentation
            probabilities, a pixel above 0.5 is in the mask.
        kind: in-context, baseline or untrained.
        train_subjects: number of subjects that a baseline was trained on, or `all`; empty for other kinds.
        training: number of a baseline's training, to tell several with as many subjects apart.
        segments: whether it predicts segmentations too.
    """

    name: str
    predict: Callable[[Arrays], np.ndarray]
    kind: Kind = Kind.IN_CONTEXT
    train_subjects: str = ""
    training: int = 0
    segments: bool = True

    @property
    def columns(self) -> tuple[str | int, ...]:
        """Its columns in the table of scores (`scores.MODEL_KEYS`)."""
        return self.name, self.kind, self.train_subjects, self.training

    def sizes(self, case: Case) -> tuple[int, ...]:
        """Context sizes at which it predicts a case: 0 for a baseline, none if it does not predict the case."""
        if case.is_segmentation and not self.segments:
            return ()
        return (0,) if self.kind == Kind.BASELINE else case.sizes


def network(
    name: str,
    model: nn.Module,
    params: Params,
    train_subjects: str = "",
    training: int = 0,
    *,
    bootstrap: int = 0,
    augment: bool = False,
) -> Predictor:
    """A network for three input channels as a predictor: a `Neuralizer` is in-context, a `UNet` a baseline.

    `name`, `train_subjects` (needed for a `UNet`) and `training` are those of a `Predictor`. With `bootstrap`, the mean
    over this number of resampled context sets is taken, see `inference.predict`; `augment` transforms each of their
    pairs by a small random affine map.

    Raises:
        InputError: for a `UNet` without `train_subjects` or with `bootstrap`.
    """
    if not isinstance(model, UNet):
        if bootstrap:
            return Predictor(name, partial(_bootstrapped, model, params, bootstrap, augment))
        return Predictor(name, partial(_predicted, model, jax.device_put(params)))
    if not train_subjects:
        raise InputError(f"{name}: a U-Net without a context, expected NAME@N=FILE, N its training subjects, or all")
    if bootstrap:
        raise InputError(f"{name}: a U-Net without a context, expected one to be resampled")
    return Predictor(name, partial(_predicted, model, jax.device_put(params)), Kind.BASELINE, train_subjects, training)


def _predicted(model: nn.Module, params: Params, episodes: Arrays) -> np.ndarray:
    names = ["target_in", "is_segmentation"]
    if not isinstance(model, UNet):
        names += ["context_in", "context_out", "context_mask"]
    batch, members = episodes["context_mask"].shape
    widest = model.features if isinstance(model.features, int) else max(model.features)
    together = _BATCH_BYTES // (4 * widest * (1 + members) * int(np.prod(episodes["target_in"].shape[1:3])))
    together = min(max(together, 1), MOST_TOGETHER)
    predictions = []
    for start in range(0, batch, together):
        # Every part has as many rows, so that one program serves all: the last rows may be predicted again.
        rows = np.minimum(np.arange(start, start + together), batch - 1)
        part = _forward(model, params, {name: episodes[name][rows] for name in names})
        predictions.append(np.asarray(part)[: batch - start])
    return np.concatenate(predictions)


@partial(jax.jit, static_argnames="model")
def _forward(model, params, episodes):
    output = forward(model, params, episodes)
    return task_output(output, episodes["is_segmentation"], model.segmentation_sigmoid)[..., 0]


def _bootstrapped(model: Any, params: Params, draws: int, augment: bool, episodes: Arrays) -> np.ndarray:
    predictions = []
    for row, is_segmentation in enumerate(episodes["is_segmentation"]):
        target, context_in, context_out = (episodes[name][row] for name in ("target_in", "context_in", "context_out"))
        task: dict[str, Any] = {"task": "segmentation", "label_values": (1,)} if is_segmentation else {"task": "image"}
        if is_segmentation and not context_out.any():
            # The structure has no pixel in a small image: there is nothing to segment.
            predictions.append(np.zeros(target.shape[:2], np.float32))
            continue
        options: dict[str, Any] = {"normalize": "none", "bootstrap": draws, "augment": augment}
        predictions.append(predict(model, params, target, context_in, context_out, **task, **options).mean)
    return np.stack(predictions)
