"""A training checkpoint on disk: arrays by name and JSON, with a checksum over both.

One folder per step, with two items of Orbax: `state`, the arrays as nested dicts, and `meta`, the values of the caller
as JSON. `meta` has one more entry, `checkpoint`: the step, the validation loss and a SHA-256 over everything else.
Orbax notices a file that is cut short, but not a flipped bit.

Orbax writes checkpoints; TensorStore reads them. Orbax would print thousands of lines about a damaged file to stderr,
and its reader needs all processes to fail at the same place.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
import tensorstore
from flax.traverse_util import unflatten_dict

from neuralizer_jax.errors import InputError

Arrays = dict[str, np.ndarray]

_CHECK = "checkpoint"  # the entry of meta that this module adds


def item_handlers() -> dict[str, ocp.CheckpointHandler]:
    """Orbax handlers of the two items, which write the layout that `read_checkpoint` reads."""
    state = ocp.PyTreeCheckpointHandler(use_ocdbt=True, use_zarr3=False)
    return {"state": state, "meta": ocp.JsonCheckpointHandler()}


def pack(step: int, state: Any, meta: dict[str, Any], validation_loss: float | None) -> ocp.args.Composite:
    """The items that Orbax saves: the arrays, and `meta` with its entry `checkpoint`.

    Raises:
        TypeError: `meta` cannot be written as JSON.
    """
    arrays = {names: np.asarray(leaf) for names, leaf in _named_leaves(state)}
    meta = json.loads(json.dumps({**meta, _CHECK: {"step": step, "validation_loss": validation_loss}}))
    meta[_CHECK]["sha256"] = _digest({".".join(names): array for names, array in arrays.items()}, meta)
    return ocp.args.Composite(state=ocp.args.PyTreeSave(unflatten_dict(arrays)), meta=ocp.args.JsonSave(meta))


def read_checkpoint(folder: Path, step: int | None = None) -> tuple[Arrays, dict[str, Any]]:
    """Reads and verifies the checkpoint in the folder of a step, which must be `step` if that is given.

    Returns:
        Arrays by dotted name, such as "params.target_embedding.kernel", and `meta` as the caller saved it.

    Raises:
        Exception: of many kinds, if a file is missing or damaged, or the checksum or step differs.
    """
    meta = _read_meta(folder)
    expected = meta[_CHECK].pop("sha256")
    arrays = _read_arrays(folder / "state")
    if _digest(arrays, meta) != expected or step not in (None, meta[_CHECK]["step"]):
        raise ValueError("its values do not have its checksum")
    del meta[_CHECK]
    return arrays, meta


def read_loss(folder: Path) -> float | None:
    """The validation loss that a checkpoint was saved with; None if it has none or cannot be read."""
    try:
        loss = _read_meta(folder)[_CHECK]["validation_loss"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return loss if isinstance(loss, float | int) else None


def fill(like: Any, arrays: Arrays, folder: Path) -> Any:
    """The arrays in the structure of `like`.

    Raises:
        InputError: naming `folder` and the first array whose name, shape or dtype differs.
    """
    expected = {".".join(names): _kind(leaf) for names, leaf in _named_leaves(like)}
    found = {name: _kind(array) for name, array in arrays.items()}
    if different := [name for name in expected | found if expected.get(name) != found.get(name)]:
        name = different[0]
        raise InputError(
            f"{folder}: {name} is {found.get(name, 'missing')}, expected {expected.get(name, 'no such array')}: "
            "a checkpoint of another model or optimizer"
        )
    return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in expected])


def _named_leaves(tree: Any) -> list[tuple[tuple[str, ...], Any]]:
    """Leaves with their paths, for example `("params", "target_embedding", "kernel")`, for any kind of tree node."""
    return [
        (tuple(jax.tree_util.keystr((key,), simple=True) for key in path), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    ]


def _kind(leaf: Any) -> str:
    leaf = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
    return f"{leaf.dtype} {list(leaf.shape)}"


def _digest(arrays: Arrays, meta: dict[str, Any]) -> str:
    """SHA-256 of `meta` as JSON, and of the names, dtypes, shapes and bytes of the arrays."""
    digest = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, str(array.dtype), array.shape]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _read_meta(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "meta" / "metadata").read_text())


def _read_arrays(folder: Path) -> Arrays:
    """All arrays of a `state` item by dotted name."""
    store = {"driver": "ocdbt", "base": folder.as_uri()}
    keys = [key.decode() for key in tensorstore.KvStore.open(store).result().list().result()]
    names = [key.removesuffix("/.zarray") for key in keys if key.endswith("/.zarray")]
    opened = [tensorstore.open({"driver": "zarr", "kvstore": {**store, "path": f"{name}/"}}) for name in names]
    reading = [array.result().read() for array in opened]
    return {name: array.result() for name, array in zip(names, reading, strict=True)}
