"""A validation: a state and a fixed list of episodes in, mean scores and pictures out."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from neuralizer_jax.training.parallel import CompiledSteps, HostArrays
from neuralizer_jax.training.pictures import PictureRow, picture_rows
from neuralizer_jax.training.state import TrainState


def validate(
    steps: CompiledSteps, state: TrainState, batches: Iterable[HostArrays], tasks: Sequence[str]
) -> tuple["ValidationScores", dict[str, PictureRow]]:
    """Evaluates a state.

    Args:
        steps: compiled for the devices.
        state: placed on them.
        batches: episodes, each batch of one context size; the same in every process.
        tasks: task names; `task` of an episode indexes them.

    Returns:
        The scores, and for each task an episode to be drawn, with the largest context size.
    """
    scores, rows = ValidationScores(tasks), dict[str, PictureRow]()
    for batch in batches:
        found = steps.evaluate(state, batch)
        size = int(np.sum(batch["context_mask"][0]))
        scores.add(batch["task"], size, found["losses"], found["dice"], found["psnr"], batch["is_segmentation"])
        rows |= picture_rows(batch, found["prediction"], tasks, found["dice"], found["psnr"])
    return scores, rows


class ValidationScores:
    """Collects the scores of a validation and averages them over episodes, by task and context size.

    A NaN makes every mean that it enters NaN.

    Example:
        >>> scores = ValidationScores(["segmentation", "denoising"])
        >>> scores.add([0, 1], 8, losses=[0.25, 0.75], dice=[0.5, 0], psnr=[0, 30], is_segmentation=[True, False])
        >>> for name, mean in scores.rows().items():
        ...     print(name, mean)
        validation/loss 0.5
        validation/loss/segmentation 0.25
        validation/loss/denoising 0.75
        validation/dice/segmentation/N=8 0.5
        validation/psnr/denoising/N=8 30.0
    """

    def __init__(self, tasks: Sequence[str]):
        """`tasks`: task names; `task` of an episode indexes them."""
        self._tasks = tuple(tasks)
        self._losses: defaultdict[str, list[float]] = defaultdict(list)  # by task
        self._scores: defaultdict[tuple[str, str, int], list[float]] = defaultdict(list)  # by task, metric, size

    def add(
        self,
        task: ArrayLike,
        context_size: int,
        losses: ArrayLike,
        dice: ArrayLike,
        psnr: ArrayLike,
        is_segmentation: ArrayLike,
    ) -> None:
        """Adds a batch.

        Args:
            task: `[B]` int, indices of task names.
            context_size: N, of the whole batch.
            losses: `[B]`.
            dice: `[B]`, used where `is_segmentation`.
            psnr: `[B]` in dB, used elsewhere.
            is_segmentation: `[B]` bool.
        """
        columns = (np.asarray(column).tolist() for column in (task, losses, dice, psnr, is_segmentation))
        for index, loss, its_dice, its_psnr, segmented in zip(*columns, strict=True):
            name = self._tasks[index]
            self._losses[name].append(loss)
            metric, score = ("dice", its_dice) if segmented else ("psnr", its_psnr)
            self._scores[name, metric, context_size].append(score)

    @property
    def loss(self) -> float:
        """Mean loss of all episodes. Raises ValueError if there are none."""
        losses = [loss for of_task in self._losses.values() for loss in of_task]
        if not losses:
            raise ValueError("no episode was added, expected at least one before the mean is taken")
        return float(np.mean(losses))

    def rows(self) -> dict[str, float]:
        """The means by name: tasks in the order of their list, context sizes ascending.

        `validation/loss`, `validation/loss/TASK`, `validation/dice/TASK/N=SIZE` of segmentation tasks and
        `validation/psnr/TASK/N=SIZE` of the others. Tasks without episodes are left out.
        """
        rows = {"validation/loss": self.loss}
        for task in self._tasks:
            if task in self._losses:
                rows[f"validation/loss/{task}"] = float(np.mean(self._losses[task]))
        for task, metric, size in sorted(self._scores, key=lambda key: (self._tasks.index(key[0]), *key[1:])):
            rows[f"validation/{metric}/{task}/N={size}"] = float(np.mean(self._scores[task, metric, size]))
        return rows
