"""The scores of a validation: collected episode by episode, averaged by task and context size."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


class Scores:
    """Per-example results of all batches of a validation, and their means over episodes.

    A NaN in any episode makes the means that it is part of NaN.
    """

    def __init__(self, tasks: Sequence[str]):
        """Nothing yet.

        Args:
            tasks: the names that `task` of an episode counts into.
        """
        self._tasks = tuple(tasks)
        self._losses = defaultdict(list)  # of (task,)
        self._scores = defaultdict(list)  # of (task, metric, members)

    def add(
        self,
        task: ArrayLike,
        members: int,
        losses: ArrayLike,
        dice: ArrayLike,
        psnr: ArrayLike,
        is_segmentation: ArrayLike,
    ) -> None:
        """Adds a batch.

        Args:
            task: `[B]` int, places in the list of names.
            members: of the context sets of this batch, N.
            losses: `[B]`.
            dice: `[B]`, read where `is_segmentation`.
            psnr: `[B]` in dB, read elsewhere.
            is_segmentation: `[B]` bool.
        """
        columns = (np.asarray(column).tolist() for column in (task, losses, dice, psnr, is_segmentation))
        for place, loss, its_dice, its_psnr, segmented in zip(*columns, strict=True):
            name = self._tasks[place]
            self._losses[name].append(loss)
            metric, score = ("dice", its_dice) if segmented else ("psnr", its_psnr)
            self._scores[name, metric, members].append(score)

    @property
    def loss(self) -> float:
        """Mean loss of all episodes. Raises ValueError where none was added."""
        losses = [loss for of_task in self._losses.values() for loss in of_task]
        if not losses:
            raise ValueError("no episode was added, expected at least one before the mean is taken")
        return float(np.mean(losses))

    def rows(self) -> dict[str, float]:
        """The means, by name: tasks in the order of their list, context sizes from small to large.

        `validation/loss`, `validation/loss/TASK`, then `validation/dice/TASK/N=MEMBERS` of segmentation tasks and
        `validation/psnr/TASK/N=MEMBERS` of the others. What no episode showed has no row.
        """
        rows = {"validation/loss": self.loss}
        for task in self._tasks:
            if task in self._losses:
                rows[f"validation/loss/{task}"] = float(np.mean(self._losses[task]))
        for task, metric, members in sorted(self._scores, key=lambda key: (self._tasks.index(key[0]), *key[1:])):
            rows[f"validation/{metric}/{task}/N={members}"] = float(np.mean(self._scores[task, metric, members]))
        return rows
