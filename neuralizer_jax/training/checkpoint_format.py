"""What a checkpoint holds: arrays by name and JSON, with a checksum over both. Written by Orbax, read with TensorStore.

A step folder with two items of Orbax: `state`, the arrays as nested dicts by the names on their way in the tree, and
`meta`, the values of the caller with one more entry, `checkpoint`: step, validation loss and a SHA-256 over all the
rest, since Orbax notices a file that is cut short but no flipped bit.
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

_CHECK = "checkpoint"  # the entry of meta that is not the caller's


def item_handlers() -> dict[str, ocp.CheckpointHandler]:
    """Orbax's writers of the two items, set to the layout that `read_checkpoint` reads."""
    state = ocp.PyTreeCheckpointHandler(use_ocdbt=True, use_zarr3=False)
    return {"state": state, "meta": ocp.JsonCheckpointHandler()}


def pack(step: int, state: Any, meta: dict[str, Any], validation_loss: float | None) -> ocp.args.Composite:
    """What Orbax is to write: the arrays, which it copies before it returns, and `meta` with its entry `checkpoint`.

    Raises:
        TypeError: `meta` is not JSON.
    """
    arrays = {names: np.asarray(leaf) for names, leaf in _named_leaves(state)}
    meta = json.loads(json.dumps({**meta, _CHECK: {"step": step, "validation_loss": validation_loss}}))
    meta[_CHECK]["sha256"] = _digest({".".join(names): array for names, array in arrays.items()}, meta)
    return ocp.args.Composite(state=ocp.args.PyTreeSave(unflatten_dict(arrays)), meta=ocp.args.JsonSave(meta))


def read_checkpoint(folder: Path, step: int) -> tuple[Arrays, dict[str, Any]]:
    """Arrays by dotted name, such as "params.target_embedding.kernel", and the caller's meta.

    Raises:
        Exception: of many kinds, where a file is missing or damaged or the checksum is of something else.
    """
    meta = _read_meta(folder)
    expected = meta[_CHECK].pop("sha256")
    arrays = _read_arrays(folder / "state")
    if _digest(arrays, meta) != expected or meta[_CHECK]["step"] != step:
        raise ValueError("its values are not those of its checksum")
    del meta[_CHECK]
    return arrays, meta


def read_loss(folder: Path) -> float | None:
    """The validation loss that a checkpoint was saved with; None: without one, or not readable."""
    try:
        loss = _read_meta(folder)[_CHECK]["validation_loss"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return loss if isinstance(loss, float | int) else None


def fill(like: Any, arrays: Arrays, folder: Path) -> Any:
    """The arrays in the structure of `like`.

    Raises:
        InputError: naming `folder` and the array, where names, shapes or types differ.
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
    """Leaves by the names on their way, for example `("params", "target_embedding", "kernel")`, whatever the nodes."""
    return [
        (tuple(jax.tree_util.keystr((key,), simple=True) for key in path), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    ]


def _kind(leaf: Any) -> str:
    leaf = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
    return f"{leaf.dtype} {list(leaf.shape)}"


def _digest(arrays: Arrays, meta: dict[str, Any]) -> str:
    """SHA-256 of meta as JSON, and of the names, types, shapes and bytes of the arrays."""
    digest = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, str(array.dtype), array.shape]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _read_meta(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "meta" / "metadata").read_text())


def _read_arrays(folder: Path) -> Arrays:
    """All arrays of a `state` item by dotted name.

    Not with Orbax, which on a damaged file leaves thousands of lines of its background tasks on stderr, and in which
    several processes would have to fail at the same place.
    """
    store = {"driver": "ocdbt", "base": folder.as_uri()}
    keys = [key.decode() for key in tensorstore.KvStore.open(store).result().list().result()]
    names = [key.removesuffix("/.zarray") for key in keys if key.endswith("/.zarray")]
    opened = [tensorstore.open({"driver": "zarr", "kvstore": {**store, "path": f"{name}/"}}) for name in names]
    reading = [array.result().read() for array in opened]
    return {name: array.result() for name, array in zip(names, reading, strict=True)}
