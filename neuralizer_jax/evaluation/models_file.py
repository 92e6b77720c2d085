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


def describe_model(model: str, experiment: str, weights: Path | None, command: str, config: str) -> dict[str, Any]:
    """An entry of `models.json`.

    Args:
        model: name in the table of scores.
        experiment: likewise.
        weights: file, or folder of a checkpoint; beside it may lie the `summary.json` of its training. None: it has
            learned nothing.
        command: that evaluates it.
        config: the experiment file, with arguments.

    Returns:
        `model`, `experiment`, `weights` and `sha256` (of a folder over all its files) or None, `command`, `config`,
        `step` of the training or None, `versions`.
    """
    return {
        "model": model,
        "experiment": experiment,
        "weights": weights and str(weights),
        "sha256": weights and _sha256(weights),
        "command": command,
        "config": config,
        "step": weights and _step(weights),
        "versions": {name: version(name) for name in ("neuralizer-jax", "jax", "flax")},
    }


def record_models(folder: Path, entries: Iterable[dict[str, Any]]) -> None:
    """Adds entries to `models.json`, in place of earlier ones of the same model, experiment, weights and command.

    Raises:
        InputError: where the weights have become others since, a file is damaged or cannot be written.
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
    """The step that the best weights of a run are of, where they lie in its folder."""
    try:
        return int(json.loads((weights.parent / "summary.json").read_text(encoding="utf-8"))["best_step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
