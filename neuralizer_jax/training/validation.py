"""A validation: a state and a fixed list of episodes in, mean scores and pictures out."""

from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
import pandas as pd

from neuralizer_jax.training.metrics_log import mean_losses
from neuralizer_jax.training.parallel import CompiledSteps, HostArrays
from neuralizer_jax.training.pictures import PictureRow, picture_rows
from neuralizer_jax.training.state import TrainState


def validate(
    steps: CompiledSteps,
    state: TrainState,
    batches: Iterable[HostArrays],
    tasks: Sequence[str],
    planes: Sequence[str] = (),
) -> tuple[dict[str, float], dict[str, PictureRow]]:
    """Evaluates a state.

    Args:
        steps: compiled for the devices.
        state: placed on them.
        batches: episodes, each batch of one context size; the same in every process.
        tasks: task names; `task` of an episode indexes them.
        planes: names that `plane` of an episode indexes, where it has one.

    Returns:
        `mean_scores`, and for each task an episode to be drawn, with the largest context size.
    """
    tables, rows = [], dict[str, PictureRow]()
    for batch in batches:
        found = steps.evaluate(state, batch)
        segmented = batch["is_segmentation"]
        columns = {
            "task": batch["task"],
            "context_size": np.sum(batch["context_mask"], 1),
            "loss": found["losses"],
            "metric": np.where(segmented, "dice", "psnr"),
            "score": np.where(segmented, found["dice"], found["psnr"]),
        }
        if "plane" in batch:
            columns["plane"] = np.array(planes)[batch["plane"]]
        tables.append(pd.DataFrame(columns))
        rows |= picture_rows(batch, found, tasks)
    return mean_scores(pd.concat(tables), tasks), rows


def mean_scores(episodes: pd.DataFrame, tasks: Sequence[str]) -> dict[str, float]:
    """The means over episodes by name: `mean_losses`, and `validation/METRIC/TASK/N=SIZE`, sizes ascending.

    With a column `plane`, also `validation/METRIC/TASK/PLANE` over all sizes.

    A NaN makes every mean that it enters NaN.

    Args:
        episodes: columns `task` (index of `tasks`), `context_size`, `loss`, `metric` ("dice" or "psnr") and `score`.
        tasks: task names.

    Example:
        >>> episodes = {"task": [0, 1], "context_size": 8, "loss": [0.25, 0.75]}
        >>> episodes |= {"metric": ["dice", "psnr"], "score": [0.5, 30.0], "plane": "axial"}
        >>> for name, mean in mean_scores(pd.DataFrame(episodes), ["segmentation", "denoising"]).items():
        ...     print(name, mean)
        validation/loss 0.5
        validation/loss/segmentation 0.25
        validation/loss/denoising 0.75
        validation/dice/segmentation/N=8 0.5
        validation/psnr/denoising/N=8 30.0
        validation/dice/segmentation/axial 0.5
        validation/psnr/denoising/axial 30.0
    """
    means = mean_losses("validation", episodes["task"].to_numpy(), episodes["loss"].to_numpy(float), tasks)
    for (task, metric, size), scores in episodes.groupby(["task", "metric", "context_size"])["score"]:
        means[f"validation/{metric}/{tasks[cast(int, task)]}/N={size}"] = float(scores.to_numpy(float).mean())
    if "plane" in episodes:
        for (task, metric, plane), scores in episodes.groupby(["task", "metric", "plane"])["score"]:
            means[f"validation/{metric}/{tasks[cast(int, task)]}/{plane}"] = float(scores.to_numpy(float).mean())
    return means
