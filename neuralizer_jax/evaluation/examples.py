"""Examples to look at: an episode of each task and modality, with the predictions of all models."""

import io
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from neuralizer_jax.case import Case
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole

Arrays = Mapping[str, np.ndarray]

# The largest context that is kept.
_MOST_MEMBERS = 8

_EPISODE = ("target_in", "target_out", "context_in", "context_out")


def example_cases(cases: Iterable[Case]) -> dict[Case, int]:
    """Cases to keep, and the size of their contexts: the largest up to 8.

    Of each task and dataset the first case of each class, or where there are no classes of each modality.
    """
    found: dict[tuple[str, ...], Case] = {}
    for case in cases:
        if any(size <= _MOST_MEMBERS for size in case.sizes):
            found.setdefault((case.task, case.dataset, case.class_name or case.modality), case)
    return {case: max(size for size in case.sizes if size <= _MOST_MEMBERS) for case in found.values()}


def add_prediction(folder: Path, experiment: str, case: Case, episode: Arrays, model: str, prediction: np.ndarray):
    """Adds a model's prediction to the example's file, which is made where it is missing.

    A file that holds another episode, of an earlier start with other options, stays as it is.

    Args:
        folder: of the examples.
        experiment: name; an experiment has examples of its own.
        case: of the example.
        episode: `target_in` `[H, W, 3]`, `target_out` `[H, W]`, `context_in` `[n, H, W, 3]`, `context_out` `[n, H, W]`.
        model: name; an earlier prediction of that name is replaced.
        prediction: `[H, W]`.

    Raises:
        InputError: a file that is damaged or cannot be written.
    """
    names = {"experiment": experiment, "task": case.task, "dataset": case.dataset, "modality": case.modality}
    names |= {"class": case.class_name, "subject": case.subject}
    content = {name: np.asarray(episode[name], np.float32) for name in _EPISODE}
    content |= {name: np.array(text) for name, text in names.items()} | {"n": np.array(len(content["context_in"]))}
    path = folder / f"{re.sub(r'[^A-Za-z0-9_.+-]', '-', '_'.join(filter(None, list(names.values())[:5])))}.npz"
    predictions = {}
    if path.exists():
        before = read_example(path)
        if not _same(before, content):
            return
        predictions = dict(zip(before["models"].tolist(), before["predictions"], strict=True))
    predictions[model] = np.asarray(prediction, np.float32)
    content |= {"models": np.array(list(predictions)), "predictions": np.stack(list(predictions.values()))}
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        np.savez_compressed(temporary, **content)


def read_example(path: Path) -> dict[str, np.ndarray]:
    """What an example's file holds: the episode of `add_prediction`, and `models` `[m]`, `predictions` `[m, H, W]`.

    Raises:
        InputError: where the file cannot be read.
    """
    try:
        # Not the path: where the file is damaged, NumPy would leave it open.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            content = dict(file)
        if len(content["models"]) != len(content["predictions"]):
            raise ValueError("as many models as predictions are missing")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: damaged ({error}), expected an example; delete it") from None
    return content


def _same(one: Arrays, other: Arrays) -> bool:
    """Whether two examples are of the same episode, but for rounding on another machine."""
    return all(
        name in one
        and one[name].shape == value.shape
        and (np.allclose(one[name], value, atol=1e-3) if value.dtype.kind == "f" else np.array_equal(one[name], value))
        for name, value in other.items()
    )
