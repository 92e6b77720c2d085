"""The trainings behind a weights file, as tables: stages, settings, data. Everything is read from the runs' folders."""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuralizer_jax.errors import InputError
from neuralizer_jax.evaluation.leakage import TRAINING_SUBJECTS_FILE
from neuralizer_jax.report.table_formats import NOTHING, Cell, Table

# Settings that stand in the table of stages, or say nothing about the result.
_LEFT_OUT = ("train.steps", "train.init_from", "data.datasets", "seed")
_LEFT_OUT_GROUPS = ("log.", "checkpoint.", "validation.", "parallel.")


@dataclass(frozen=True)
class Training:
    """A run.

    Attributes:
        name: of its folder.
        config: by key, as `train.steps`.
        summary: of `summary.json`.
        subjects: number of training subjects by dataset.
        data: SHA-256 of the datasets by name, see `SliceCollection.fingerprints`; empty for runs of earlier versions.
    """

    name: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    subjects: Mapping[str, int]
    data: Mapping[str, str]


def with_those_before(folder: Path) -> list[Path]:
    """The folders of a run and of those that its parameters come from, as far as they are there, the first one first.

    Raises InputError if a configuration is missing or damaged.
    """
    found = [folder]
    while start := str(dict(_leaves(_read_json(found[0] / "config.json"))).get("train.init_from") or ""):
        before = next((its for its in Path(start).parents if (its / "config.json").exists()), None)
        if before is None or before in found:
            break
        found.insert(0, before)
    return found


def read_training(folder: Path) -> Training:
    """Reads a run's folder. Raises InputError if it did not end yet, or a file is missing or damaged."""
    config, summary = (_read_json(folder / name) for name in ("config.json", "summary.json"))
    for key in ("step", "seconds", "devices", "versions", "ended"):
        if key not in summary:
            raise InputError(f"{folder / 'summary.json'}: has no {key}, expected the summary of a training")
    path = folder / TRAINING_SUBJECTS_FILE
    subjects: Counter[str] = Counter()
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                subjects[row["dataset"]] += 1
    except (OSError, ValueError, KeyError, csv.Error):
        raise InputError(f"{path}: cannot be read, expected the subjects of the training") from None
    data = _read_json(folder / "training_data.json") if (folder / "training_data.json").exists() else {}
    return Training(folder.resolve().name, dict(_leaves(config)), summary, subjects, data)


def stages_table(trainings: Sequence[Training]) -> Table:
    """A row for each training: steps, images, learning rate, time, devices, and how it ended."""
    rows = []
    for its in trainings:
        config = its.config
        devices = its.summary["devices"]
        on = devices if isinstance(devices, list) else [f"{name}: {_hours(s)}" for name, s in devices.items()]
        texts = (
            its.name,
            _start(str(config.get("train.init_from") or "")),
            config.get("seed", ""),
            f"{its.summary['step']:,}",
            _images(config),
            f"{config.get('train.learning_rate', '')}, {config.get('train.decay', '')}",
            _hours(float(its.summary["seconds"])),
            ", ".join(on),
            its.summary["ended"],
        )
        rows.append(tuple(Cell(str(text)) for text in texts))
    head = ("Training", "Starts from", "Seed", "Steps", "Images", "Learning rate", "Time", "On", "Ended by")
    return Table("stages", "", head, (tuple(rows),), numbers=False)


def settings_table(trainings: Sequence[Training], defaults: Mapping[str, Any]) -> Table:
    """The settings that differ from the defaults in one of the trainings: a row for each, a column a training."""
    keys = sorted(
        {key for its in trainings for key in its.config if _shown(its.config[key]) != _shown(defaults.get(key))}
    )
    keys = [key for key in keys if key not in _LEFT_OUT and not key.startswith(_LEFT_OUT_GROUPS)]
    rows = [
        (Cell(key), Cell(_shown(defaults.get(key))), *(Cell(_shown(its.config.get(key))) for its in trainings))
        for key in keys
    ]
    head = ("Setting", "Default", *(its.name for its in trainings))
    return Table("settings", "", head, (tuple(rows),), numbers=False)


def data_table(trainings: Sequence[Training]) -> Table:
    """The datasets that were trained on, with their number of training subjects and first digits of their SHA-256."""
    rows = dict.fromkeys(
        (Cell(name), Cell(str(count)), Cell(its.data[name][:16]) if name in its.data else NOTHING)
        for its in trainings
        for name, count in its.subjects.items()
    )
    return Table("data", "", ("Dataset", "Training subjects", "SHA-256"), (tuple(rows),))


def versions(trainings: Sequence[Training]) -> str:
    """The versions of all trainings, each set of them once."""
    each = (", ".join(f"{name} {number}" for name, number in its.summary["versions"].items()) for its in trainings)
    return "; ".join(dict.fromkeys(each))


def _start(weights: str) -> str:
    """The training that parameters came from, or the weights file."""
    path = Path(weights)
    if path.name in ("checkpoints", "best.safetensors"):
        return path.parent.name
    return path.name or "random parameters"


def _images(config: Mapping[str, Any]) -> str:
    if crops := config.get("data.crops"):
        return "; ".join(f"{size}x{size} of {extent} mm, {rows} a step" for size, extent, rows, *_ in crops)
    size, extent = config.get("data.size"), config.get("data.extent")
    return f"{size}x{size} of {extent} mm, {config.get('train.batch_size')} a step"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def _shown(value: Any) -> str:
    return "" if value is None else json.dumps(value) if isinstance(value, list | tuple) else str(value)


def _leaves(config: Mapping[str, Any], path: str = ""):
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: does not exist, expected a training that has ended") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error}), expected JSON") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: damaged, expected an object in JSON")
    return content
