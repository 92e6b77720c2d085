"""`models.json`: the weights and commands behind the scores of a folder."""

import hashlib
import json
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from neuralizer_jax.errors import InputError
from neuralizer_jax.evaluation.predictor import Predictor
from neuralizer_jax.evaluation.scores import MODEL_KEYS
from neuralizer_jax.files.atomic_file import written_whole

MODELS_FILE = "models.json"


def describe_model(
    model: Predictor, experiment: str, weights: Path | None, command: str, config: str
) -> dict[str, Any]:
    """An entry of `models.json`.

    Args:
        model: as evaluated.
        experiment: name in the table of scores.
        weights: file or checkpoint folder, with its training's `summary.json` beside it, if any. None: untrained.
        command: the evaluation's command line.
        config: the experiment file, with arguments.

    Returns:
        `model`, `kind`, `train_subjects`, `training`, `experiment`, `weights` and their `sha256` (over all files of a
        folder) or None, `command`, `config`, `step` of the training or None, `versions`.
    """
    return {
        **dict(zip(MODEL_KEYS, model.columns, strict=True)),
        "experiment": experiment,
        "weights": weights and str(weights),
        "sha256": weights and _sha256(weights),
        "command": command,
        "config": config,
        "step": weights and _step(weights),
        "versions": {name: version(name) for name in ("neuralizer-jax", "jax", "flax")},
    }


def record_models(folder: Path, entries: Iterable[dict[str, Any]]) -> None:
    """Adds entries to `models.json`; each replaces an earlier one of the same model, experiment, weights and command.

    Raises:
        InputError: if the weights have changed since an earlier entry, or the file is damaged or cannot be written.
    """
    path = folder / MODELS_FILE
    before = _read(path)
    known = {(*_name(entry), entry["command"]): entry for entry in before}
    for entry in entries:
        if any(_name(other) == _name(entry) and other["sha256"] != entry["sha256"] for other in before):
            raise InputError(
                f"{entry['weights']}: has changed since {folder} got scores of {entry['model']} from it, expected"
                " another name, experiment or folder"
            )
        known[*_name(entry), entry["command"]] = entry
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(list(known.values()), indent=2) + "\n", encoding="utf-8")


def _name(entry: dict[str, Any]) -> tuple[str, str, str | None]:
    return entry["model"], entry["experiment"], entry["weights"]


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        for entry in entries:
            _name(entry), entry["sha256"], entry["command"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{path}: damaged, expected a list of evaluated models") from None
    return entries


def _sha256(weights: Path) -> str:
    files = sorted(path for path in weights.rglob("*") if path.is_file()) if weights.is_dir() else [weights]
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _step(weights: Path) -> int | None:
    """The training step of a run's best weights, if they lie in its folder."""
    try:
        return int(json.loads((weights.parent / "summary.json").read_text(encoding="utf-8"))["best_step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
