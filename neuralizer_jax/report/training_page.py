"""The page of a training: curves, stages, settings, data, versions, all from the folders of runs."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from neuralizer_jax.report.page import Block, Picture, write_page
from neuralizer_jax.report.trainings import Training, data_table, settings_table, stages_table, versions

_WIDTH = 1400  # of a picture, CSS pixels


def write_training_page(
    path: Path,
    trainings: Sequence[Training],
    curves: Path | None,
    defaults: Mapping[str, Any],
    picture: Path | None,
) -> None:
    """Writes the page of a training and of those that it started from; one file that loads nothing.

    Args:
        path: the page.
        trainings: in their order; the page is named after the last one.
        curves: picture of the curves, PNG; None: nothing was recorded.
        defaults: default configuration by key; other values are listed.
        picture: of predictions, PNG; None: there is none.

    Raises:
        InputError: it cannot be written.
    """
    last = trainings[-1]
    summary = last.summary
    loss = summary.get("best_loss")
    numbers = [
        ("steps", f"{sum(its.summary['step'] for its in trainings):,}"),
        ("parameters", f"{summary['parameters']:,}" if "parameters" in summary else ""),
        ("best validation loss", f"{loss:.4f}" if loss is not None else ""),
        ("step of that loss", f"{summary['best_step']:,}" if summary.get("best_step") is not None else ""),
        ("ended by", str(summary["ended"])),
    ]
    parts: dict[str, list[Block]] = {
        "Curves": [
            "Losses on the left, the lowest validation loss marked; on the right the validation scores of each task."
            + (" Trainings follow one another." if len(trainings) > 1 else ""),
            Picture(curves, "Curves", _WIDTH),
        ]
        if curves
        else ["Nothing was recorded."],
        "Trainings": [stages_table(trainings)],
        "Settings that differ from experiments/base.py": [settings_table(trainings, defaults)],
        "Data": [data_table(trainings)],
    }
    if picture:
        parts["Predictions"] = ["Validation, at the last step with pictures.", Picture(picture, "Predictions", _WIDTH)]
    parts["Versions"] = [f"{versions(trainings)}; of this page: neuralizer-jax {version('neuralizer-jax')}."]
    write_page(path, f"Training {last.name}", [pair for pair in numbers if pair[1]], [], parts)
