"""`models.json`: which weights, by which command, the scores of a folder were made with."""

import hashlib
import json
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole

MODELS_FILE = "models.json"


def describe_model(model: str, experiment: str, weights: Path, command: str, config: str) -> dict[str, Any]:
    """An entry of `models.json`.

    Args:
        model: name in the table of scores.
        experiment: likewise.
        weights: file, or folder of a checkpoint; beside it may lie the `summary.json` of its training.
        command: that evaluates it.
        config: the experiment file, with arguments.

    Returns:
        `model`, `experiment`, `weights`, `sha256` (of a folder over all its files), `command`, `config`, `step` of the
        training or None, `versions`.
    """
    files = sorted(path for path in weights.rglob("*") if path.is_file()) if weights.is_dir() else [weights]
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    return {
        "model": model,
        "experiment": experiment,
        "weights": str(weights),
        "sha256": digest.hexdigest(),
        "command": command,
        "config": config,
        "step": _step(weights),
        "versions": {name: version(name) for name in ("neuralizer-jax", "jax", "flax")},
    }


def record_models(folder: Path, entries: Iterable[dict[str, Any]]) -> None:
    """Adds entries to `models.json`, in place of earlier ones of the same model, experiment and weights.

    Raises:
        InputError: where the weights have become others since, a file is damaged or cannot be written.
    """
    path = folder / MODELS_FILE
    by_name = {_name(entry): entry for entry in _read(path)}
    for entry in entries:
        before = by_name.get(_name(entry), entry)
        if before["sha256"] != entry["sha256"]:
            raise InputError(
                f"{entry['weights']}: has changed since {folder} got scores of {entry['model']} from it, expected"
                " another name, experiment or folder"
            )
        by_name[_name(entry)] = entry
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(list(by_name.values()), indent=2) + "\n", encoding="utf-8")


def _name(entry: dict[str, Any]) -> tuple[str, str, str]:
    return entry["model"], entry["experiment"], entry["weights"]


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        for entry in entries:
            _name(entry), entry["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{path}: damaged, expected a list of evaluated models") from None
    return entries


def _step(weights: Path) -> int | None:
    """The step that the best weights of a run are of, where they lie in its folder."""
    try:
        return int(json.loads((weights.parent / "summary.json").read_text(encoding="utf-8"))["best_step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
