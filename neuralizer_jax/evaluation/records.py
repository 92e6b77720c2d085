"""Records in JSON: lists of them beside the scores, `models.json` and `runtime.json`, and the summary of a training."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole

Record = dict[str, Any]


def read_records(path: Path, *keys: str) -> list[Record] | None:
    """The records in a file, each with some keys at least; None if there is no such file.

    Raises:
        InputError: if the file is damaged or cannot be read.
    """
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error}), expected a list of records in JSON") from None
    if not isinstance(records, list) or not all(isinstance(its, dict) and its.keys() >= {*keys} for its in records):
        raise InputError(f"{path}: damaged, expected a list of records{' with ' * bool(keys)}{', '.join(keys)}")
    return records


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Writes records, and creates the folder if it is missing. Raises InputError if they cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(list(records), indent=2) + "\n", encoding="utf-8")


def training_summary(weights: Path) -> Record:
    """The `summary.json` beside a training's weights; empty if it is missing or damaged."""
    try:
        summary = json.loads((weights.absolute().parent / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return summary if isinstance(summary, dict) else {}
