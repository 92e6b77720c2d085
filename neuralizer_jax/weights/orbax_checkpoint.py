"""Parameters out of an Orbax training checkpoint.

A checkpoint folder has one numbered folder a step, as Orbax's `CheckpointManager` writes them, with two items:
`state`, a tree whose `params` are the parameters, and `meta`, JSON whose `model` is the model's description. Where the
run's configuration in `meta` asks for an average of the parameters, that is read, `average` of the tree.
"""

import json
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from neuralizer_jax.errors import InputError
from neuralizer_jax.weights import architecture
from neuralizer_jax.weights.parameters import param_shapes


def read_orbax_checkpoint(path: Path, model: nn.Module | None = None) -> tuple[nn.Module, dict[str, Any]]:
    """Reads the newest step of a checkpoint folder, or the one step whose folder is given.

    Args:
        path: the checkpoint folder, or the folder of one step in it.
        model: the network to fill; None: as the checkpoint says.

    Returns:
        The model and its parameters as float32 NumPy arrays, whatever devices they were saved from.

    Raises:
        InputError: not such a folder, damaged, or of another model.
    """
    steps = [path] if (path / "state").is_dir() else [p for p in path.iterdir() if p.name.isdigit() and p.is_dir()]
    if not steps:
        raise InputError(f"{path}: no training checkpoint in this folder, expected numbered step folders of Orbax")
    step = max(steps, key=lambda p: int(p.name) if p.name.isdigit() else 0).absolute()
    try:
        meta = json.loads((step / "meta" / "metadata").read_text())
        config = meta["model"]
        training = meta.get("config", {}).get("train", {})
        which = "average" if training.get("ema_decay", training.get("average")) else "params"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{step}: no readable meta item, expected JSON with the model's description") from None
    if model is None:
        model = architecture.build(config, step)

    import orbax.checkpoint as ocp

    shapes = param_shapes(model)
    wanted = {which: unflatten_dict({key: np.zeros(shape, np.float32) for key, shape in shapes.items()})}
    as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), wanted)
    try:
        with ocp.PyTreeCheckpointer() as checkpointer:
            arguments = ocp.args.PyTreeRestore(item=wanted, restore_args=as_numpy, partial_restore=True)
            params = checkpointer.restore(step / "state", args=arguments)[which]
    except Exception as error:  # Orbax and TensorStore document no common base of what they raise
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{step}: the checkpoint's parameters cannot be read ({reason})") from None
    for key, value in flatten_dict(params).items():
        if value.shape != shapes[key] or not np.isfinite(value).all():
            raise InputError(
                f"{step}: parameter {'.'.join(key)} has shape {value.shape}, expected finite values, {shapes[key]}"
            )
    return model, jax.tree.map(lambda value: value.astype(np.float32), params)
