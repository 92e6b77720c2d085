"""`models.json`: the weights and commands behind the scores of a folder."""

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from neuralizer_jax.errors import InputError
from neuralizer_jax.evaluation.records import Record, read_records, training_summary, write_records
from neuralizer_jax.evaluation.scores import MODEL_KEYS
from neuralizer_jax.weights.weights_hash import weights_sha256

MODELS_FILE = "models.json"


def describe_model(
    columns: Sequence[str | int], experiment: str, weights: Path | None, command: str, config: str
) -> Record:
    """An entry of `models.json`: the model's columns in the table of scores, its weights and what evaluated it.

    The weights are a file or checkpoint folder, with the `summary.json` of their training beside it if there is one;
    None for an untrained model. `config` is the experiment file with its arguments, or the folder of whole scans.
    """
    return {
        **dict(zip(MODEL_KEYS, columns, strict=True)),
        "experiment": experiment,
        "weights": weights and str(weights),
        "sha256": weights and weights_sha256(weights),
        "command": command,
        "config": config,
        "step": weights and training_summary(weights).get("best_step"),
        "versions": {name: version(name) for name in ("neuralizer-jax", "jax", "flax")},
    }


def record_models(folder: Path, entries: Iterable[Record]) -> None:
    """Adds entries to `models.json`; each replaces an earlier one of the same model, experiment, weights and command.

    Raises:
        InputError: if the weights have changed since an earlier entry, or the file is damaged or cannot be written.
    """
    path = folder / MODELS_FILE
    before = read_records(path, "model", "experiment", "weights", "sha256", "command") or []
    known = {(*_name(entry), entry["command"]): entry for entry in before}
    for entry in entries:
        if any(_name(other) == _name(entry) and other["sha256"] != entry["sha256"] for other in before):
            raise InputError(
                f"{entry['weights']}: has changed since {folder} got scores of {entry['model']} from it, expected"
                " another name, experiment or folder"
            )
        known[*_name(entry), entry["command"]] = entry
    write_records(path, known.values())


def _name(entry: Record) -> tuple[str, str, str | None]:
    return entry["model"], entry["experiment"], entry["weights"]
