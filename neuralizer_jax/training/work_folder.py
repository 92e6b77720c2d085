"""The folder of a run: one configuration, and one process at a time that writes."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole

# Keys, and groups of keys, that may differ when a run goes on: they say how it is computed, kept and shown, not what
# comes out beyond rounding. `train.steps` may as well, unless the learning rate depends on it.
MAY_DIFFER = (
    "log.every",
    "checkpoint.every",
    "checkpoint.keep",
    "parallel",
    "train.accumulate",
    "model.remat",
    "data.apply",
    "data.context.pad_to",
)

_MOST_SHOWN = 5


@contextmanager
def open_work_folder(folder: str | os.PathLike, config: ConfigDict | dict[str, Any]) -> Iterator[Path]:
    """Opens the folder of a run, made where it is missing, for as long as the block lasts.

    Its `config.json` holds the configuration, sorted. A later start must have the same, except for what `MAY_DIFFER`,
    which is then written anew. While the block lasts no other process can open the folder; when the process ends, in
    whatever way, it is free again. Of several processes of one run (`jax.distributed`) the first one does all this.

    Args:
        folder: of the run.
        config: of the run, of values that JSON has; tuples are lists in it.

    Raises:
        InputError: a folder or file that cannot be written, another run in the folder, a damaged `config.json`, or
            another configuration: the keys that differ are named.
    """
    folder = Path(folder)
    if jax.process_index() != 0:
        yield folder
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}), expected a folder for the run") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{folder}: another run is using it, expected one run a folder") from None
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be locked ({error.strerror}), expected a file system that can"
            ) from None
        _keep_config(folder, config)
        yield folder


def _keep_config(folder: Path, config: ConfigDict | dict[str, Any]) -> None:
    path = folder / "config.json"
    text = json.dumps(config.to_dict() if isinstance(config, ConfigDict) else config, indent=2, sort_keys=True) + "\n"
    if path.exists():
        _check_same(path, json.loads(text))
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _check_same(path: Path, config: dict[str, Any]) -> None:
    """Raises InputError unless the file holds the same configuration, except for what may differ."""
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = None
    if not isinstance(before, dict):
        raise InputError(f"{path}: damaged, expected the configuration of the run as JSON")
    before, now = _flat(before), _flat(config)
    may_differ = MAY_DIFFER if now.get("train.decay") != "constant" else (*MAY_DIFFER, "train.steps")
    differences = [
        f"{key}: {_shown(before, key)} in the folder, {_shown(now, key)} now"
        for key in sorted(before | now)
        if not any(f"{key}.".startswith(f"{name}.") for name in may_differ)
        and (key not in before or key not in now or before[key] != now[key])
    ]
    if differences:
        more = len(differences) - _MOST_SHOWN
        shown = differences[:_MOST_SHOWN] + ([f"and {more} more"] if more > 0 else [])
        raise InputError(f"{path.parent}: made with another configuration: {'; '.join(shown)}")


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _shown(values: dict[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "nothing"
