"""What is evaluated: a function of episodes. `network` makes one of a model and its parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import flax.linen as nn
import jax
import numpy as np

from neuralizer_jax.case import Case
from neuralizer_jax.errors import InputError
from neuralizer_jax.forward import forward
from neuralizer_jax.inference.predict import predict
from neuralizer_jax.losses import task_output
from neuralizer_jax.report.statistics import is_baseline
from neuralizer_jax.unet import UNet
from neuralizer_jax.weights.parameters import Params

Arrays = Mapping[str, np.ndarray]

# Episodes that are predicted together, and a bound on the widest activation of them.
MOST_TOGETHER = 8
_BATCH_BYTES = 1 << 29

# Draws of different trainings of a baseline are so many numbers apart.
_TRAININGS_APART = 100


@dataclass(frozen=True)
class Predictor:
    """A model, or anything else that predicts.

    Attributes:
        name: in the table.
        predict: of a batch of B episodes, all members of their contexts valid, the predictions `[B, H, W]`: of a
            segmentation the probability, a pixel above 0.5 is in the mask.
        subjects: of what has no context the number of its training subjects, its `n` in the table; None: it has one.
        training: of what has no context, which training with so many subjects it is, from 0.
        of_masks: whether it predicts segmentations too.
        in_examples: whether its predictions are kept to be looked at.
    """

    name: str
    predict: Callable[[Arrays], np.ndarray]
    subjects: int | None = None
    training: int = 0
    of_masks: bool = True
    in_examples: bool = True

    @property
    def has_context(self) -> bool:
        """Whether what it predicts depends on a context."""
        return self.subjects is None

    def draw(self, draw: int) -> int:
        """The draw of a case as it stands in the table: another one for each training."""
        return draw + _TRAININGS_APART * self.training

    def sizes(self, case: Case) -> tuple[int, ...]:
        """Of the contexts with which it predicts a case, 0 being none; empty where it does not predict it."""
        if case.is_segmentation and not self.of_masks:
            return ()
        return case.sizes if self.has_context else (0,)


def network(
    name: str,
    model: nn.Module,
    params: Params,
    *,
    subjects: int | None = None,
    training: int = 0,
    bootstrap: int = 0,
    augment: bool = False,
) -> Predictor:
    """A network as a predictor.

    Args:
        name: in the table.
        model: a `Neuralizer` or `UNet`, for three input channels.
        params: its parameters.
        subjects: that a `UNet` was trained on; None for a `Neuralizer`.
        training: of a `UNet`, see `Predictor`.
        bootstrap: number of context sets to resample and average over, as `inference.predict`; 0: none.
        augment: move each resampled pair by a small random affine map.

    Raises:
        InputError: a `UNet` without `subjects`, with `bootstrap`, or with a name that does not begin with `Baseline`
            (`statistics.is_baseline`); a `Neuralizer` with `subjects` or such a name.
    """
    if isinstance(model, UNet) and not (is_baseline(name) and subjects is not None):
        raise InputError(f"{name}: a U-Net without a context, expected Baseline...@N=FILE, N its training subjects")
    if not isinstance(model, UNet) and (is_baseline(name) or subjects is not None):
        raise InputError(f"{name}: a network with a context, expected NAME=FILE, a name that is no Baseline's, no @N")
    if bootstrap:
        if isinstance(model, UNet):
            raise InputError(f"{name}: a U-Net without a context, expected one to be resampled")
        return Predictor(name, partial(_bootstrapped, model, params, bootstrap, augment))
    return Predictor(name, partial(_predicted, model, jax.device_put(params)), subjects, training)


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
        # Always as many, so that one program serves all: the last ones are predicted again.
        rows = np.minimum(np.arange(start, start + together), batch - 1)
        part = _forward(model, params, {name: episodes[name][rows] for name in names})
        predictions.append(np.asarray(part)[: batch - start])
    return np.concatenate(predictions)


@partial(jax.jit, static_argnames="model")
def _forward(model, params, episodes):
    output = forward(model, params, episodes)
    return task_output(output, episodes["is_segmentation"], model.segmentation_sigmoid)[..., 0]


def _bootstrapped(model: nn.Module, params: Params, draws: int, augment: bool, episodes: Arrays) -> np.ndarray:
    predictions = []
    for row, is_segmentation in enumerate(episodes["is_segmentation"]):
        target, context_in, context_out = (episodes[name][row] for name in ("target_in", "context_in", "context_out"))
        task = {"task": "segmentation", "label_values": (1,)} if is_segmentation else {"task": "image"}
        if is_segmentation and not context_out.any():
            # A structure that no pixel of a small image shows: there is nothing to segment.
            predictions.append(np.zeros(target.shape[:2], np.float32))
            continue
        options = {"normalize": "none", "bootstrap": draws, "augment": augment}
        predictions.append(predict(model, params, target, context_in, context_out, **task, **options).mean)
    return np.stack(predictions)
