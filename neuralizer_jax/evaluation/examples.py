"""Examples to look at: one episode for each task, and class or modality, with the predictions of all models."""

import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neuralizer_jax.case import Case
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole

Arrays = Mapping[str, np.ndarray]

# The largest context in an example.
_MOST_MEMBERS = 8


def example_cases(cases: Iterable[Case]) -> dict[Case, int]:
    """Cases to keep, each with a context size, the largest up to 8.

    Kept is the first case of each task, dataset, and class or, for tasks without classes, modality.
    """
    found: dict[tuple[str, ...], Case] = {}
    for case in cases:
        if any(size <= _MOST_MEMBERS for size in case.sizes):
            found.setdefault((case.task, case.dataset, case.class_name or case.modality), case)
    return {case: max(size for size in case.sizes if size <= _MOST_MEMBERS) for case in found.values()}


def add_prediction(
    folder: Path, experiment: str, case: Case, episode: Arrays, model: tuple[str, str], prediction: np.ndarray
) -> None:
    """Adds a model's prediction to the file of an experiment's example, or creates the file.

    A file with another episode, from an earlier run with other options, stays as it is.

    Args:
        folder: of the examples.
        experiment: name in the table of scores.
        case: of the example.
        episode: `target_in` `[H, W, 3]`, `target_out` `[H, W, 1]`, `context_in` `[n, H, W, 3]`, `context_out`
            `[n, H, W, 1]`; the file has outputs without their last axis.
        model: its name and `train_subjects`, see `Predictor`; its earlier prediction is replaced.
        prediction: `[H, W]`.

    Raises:
        InputError: if a file is damaged or cannot be written.
    """
    names = {"experiment": experiment, "task": case.task, "dataset": case.dataset, "modality": case.modality}
    names |= {"class": case.class_name, "subject": case.subject}
    content: dict[str, Any] = {name: np.float32(episode[name]) for name in ("target_in", "context_in")}
    content |= {name: np.float32(episode[name][..., 0]) for name in ("target_out", "context_out")}
    content |= {name: np.array(text) for name, text in names.items()} | {"n": np.array(len(content["context_in"]))}
    path = folder / f"{re.sub(r'[^A-Za-z0-9_.+-]', '-', '_'.join(filter(None, list(names.values())[:5])))}.npz"
    predictions: dict[tuple[str, str], np.ndarray] = {}
    if path.exists():
        before = read_example(path)
        if not _same(before, content):
            return
        models = zip(before["models"].tolist(), before["train_subjects"].tolist(), strict=True)
        predictions = dict(zip(models, before["predictions"], strict=True))
    predictions[model] = np.asarray(prediction, np.float32)
    models, subjects = zip(*predictions, strict=True)
    content |= {"models": np.array(models), "train_subjects": np.array(subjects)}
    content["predictions"] = np.stack(list(predictions.values()))
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        np.savez_compressed(temporary, **content)


def read_example(path: Path) -> dict[str, np.ndarray]:
    """Reads an example: the episode of `add_prediction`; `models`, `train_subjects` `[m]`, `predictions` `[m, H, W]`.

    Raises:
        InputError: if the file cannot be read.
    """
    try:
        # Bytes, not the path: NumPy leaves a damaged file open.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            content = dict(file)
        if not len(content["models"]) == len(content["train_subjects"]) == len(content["predictions"]):
            raise ValueError("not every prediction has a model")
    except Exception as error:  # damaged archives make libraries raise nearly anything
        raise InputError(f"{path}: damaged ({error}), expected an example; delete it") from None
    return content


def _same(one: Arrays, other: Arrays) -> bool:
    """Whether two examples show the same episode, up to rounding on another machine."""
    return all(
        name in one
        and one[name].shape == value.shape
        and (np.allclose(one[name], value, atol=1e-3) if value.dtype.kind == "f" else np.array_equal(one[name], value))
        for name, value in other.items()
    )
