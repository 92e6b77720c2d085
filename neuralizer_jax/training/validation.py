"""One round of validation: a state and a fixed list of episodes in, scores and pictures out."""

from collections.abc import Iterable, Sequence

import numpy as np

from neuralizer_jax.training.parallel import HostArrays, CompiledSteps
from neuralizer_jax.training.pictures import PictureRow, picture_rows
from neuralizer_jax.training.state import TrainState
from neuralizer_jax.training.validation_scores import Scores


def validate(
    steps: CompiledSteps, state: TrainState, batches: Iterable[HostArrays], tasks: Sequence[str]
) -> tuple[Scores, dict[str, PictureRow]]:
    """Evaluates a state.

    Args:
        steps: compiled for the devices.
        state: placed on them; stays as it is.
        batches: episodes, each batch of one context size; in every process the same.
        tasks: names that `task` of an episode counts into.

    Returns:
        The scores, and of each task an episode to be shown, with the largest context that there was.
    """
    scores, rows = Scores(tasks), {}
    for batch in batches:
        found = steps.evaluate(state, batch)
        members = int(np.sum(batch["context_mask"][0]))
        scores.add(batch["task"], members, found["losses"], found["dice"], found["psnr"], batch["is_segmentation"])
        rows |= picture_rows(batch, found["prediction"], tasks, found["dice"], found["psnr"])
    return scores, rows
