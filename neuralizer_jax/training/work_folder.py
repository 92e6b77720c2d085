"""The folder of a run: it holds one configuration, and one process at a time writes to it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
from flax.traverse_util import flatten_dict
from ml_collections import ConfigDict

from neuralizer_jax.errors import InputError
from neuralizer_jax.experiment_config import RENAMED
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.files.folder_lock import locked

# Keys and groups of keys that may change when a run goes on: they control how it is computed, saved and shown, and
# change the result by no more than rounding. So may `train.steps`, unless the learning rate depends on it.
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

# Keys that name files. The same file may be spelt differently, and data that was moved keeps its name.
_PATHS = ("data.datasets", "train.init_from")

_MOST_SHOWN = 5


@contextmanager
def open_work_folder(folder: str | os.PathLike, config: ConfigDict | dict[str, Any]) -> Iterator[Path]:
    """Opens the folder of a run, created if needed, and locks it while the block lasts.

    Its `config.json` holds the configuration, sorted. When the run goes on from a checkpoint, the configuration must be
    the same except for `MAY_DIFFER` and the spelling of paths; the file is then rewritten. The lock ends with the
    process, however that ends. Of several processes of one run (`jax.distributed`) only the first one does all this.

    Args:
        folder: of the run.
        config: of the run, with JSON values; tuples become lists.

    Raises:
        InputError: the folder cannot be written, another run uses it, `config.json` is damaged, or the configuration
            differs: the keys are named.

    Example:
        >>> with open_work_folder("runs/first", {"seed": 0}) as folder:
        ...     print((folder / "config.json").read_text().split())
        ['{', '"seed":', '0', '}']
    """
    folder = Path(folder)
    if jax.process_index() != 0:
        yield folder
        return
    with locked(folder / "lock"):
        _keep_config(folder / "config.json", config)
        yield folder


def has_begun(folder: Path) -> bool:
    """Whether a run has a checkpoint. Without one it begins anew: a failed start does not block the corrected one."""
    return any(folder.glob("checkpoints/[0-9]*"))


def _keep_config(path: Path, config: ConfigDict | dict[str, Any]) -> None:
    text = json.dumps(config.to_dict() if isinstance(config, ConfigDict) else config, indent=2, sort_keys=True) + "\n"
    if path.exists() and has_begun(path.parent):
        _check_same(path, json.loads(text))
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _check_same(path: Path, config: dict[str, Any]) -> None:
    """Raises InputError unless the file holds the same configuration, except for what may differ."""
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        saved = None
    if not isinstance(saved, dict):
        raise InputError(f"{path}: damaged, expected the configuration of the run as JSON")
    before, now = flatten_dict(saved, sep="."), flatten_dict(config, sep=".")
    if old := next((key for key in RENAMED if key in before), None):
        raise InputError(f"{path}: {old} is called {RENAMED[old]} now, expected the new name; rename it in the file")
    may_differ = MAY_DIFFER if now.get("train.decay") != "constant" else (*MAY_DIFFER, "train.steps")
    differences = [
        f"{key}: {_shown(before, key)} in the folder, {_shown(now, key)} now"
        for key in sorted(before | now)
        if not any(f"{key}.".startswith(f"{name}.") for name in may_differ)
        and (key not in before or key not in now or not _same(key, before[key], now[key]))
    ]
    if differences:
        more = len(differences) - _MOST_SHOWN
        shown = differences[:_MOST_SHOWN] + ([f"and {more} more"] if more > 0 else [])
        raise InputError(f"{path.parent}: made with another configuration: {'; '.join(shown)}")


def _same(key: str, before: Any, now: Any) -> bool:
    if key not in _PATHS or not before or not now:
        return before == now
    old, new = ([value] if isinstance(value, str) else value for value in (before, now))
    return len(old) == len(new) and all(map(_same_path, old, new))


def _same_path(old: str, new: str) -> bool:
    """Whether two paths lead to one file, or only the new one is there and has the same name."""
    if os.path.realpath(old) == os.path.realpath(new):
        return True
    return not os.path.exists(old) and os.path.basename(os.path.abspath(old)) == os.path.basename(os.path.abspath(new))


def _shown(values: dict[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "nothing"
