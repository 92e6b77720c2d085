"""Loads the parameters of a training checkpoint, the folder that `neuralizer train` writes."""

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from flax.traverse_util import unflatten_dict

from neuralizer_jax.errors import InputError
from neuralizer_jax.weights import architecture
from neuralizer_jax.weights.checkpoint_format import fill, read_checkpoint
from neuralizer_jax.weights.parameters import param_shapes


def read_orbax_checkpoint(path: Path, model: nn.Module | None = None) -> tuple[nn.Module, dict[str, Any]]:
    """Reads the parameters of the newest step of a checkpoint folder, or of the one step whose folder is given.

    If training kept a moving average of the parameters, the average is read. It fills `model`, or the network that the
    checkpoint describes.

    Returns:
        The model and its parameters as float32 NumPy arrays, whatever devices they were saved from.

    Raises:
        InputError: no such folder, or its checkpoint is damaged or of another model.
    """
    steps = [path] if (path / "state").is_dir() else [p for p in path.iterdir() if p.name.isdigit() and p.is_dir()]
    if not steps:
        raise InputError(f"{path}: no training checkpoint in this folder, expected numbered step folders of Orbax")
    step = max(steps, key=lambda p: int(p.name) if p.name.isdigit() else 0).absolute()
    try:
        arrays, meta = read_checkpoint(step)
    except Exception as error:  # TensorStore documents no common base class of its errors
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{step}: damaged checkpoint ({reason}), expected state and meta of one training step"
        ) from None
    if model is None:
        if not isinstance(meta.get("model"), dict):
            raise InputError(f"{step}: no description of the model in its meta item")
        model = architecture.build(meta["model"], step)
    prefix = "average." if any(name.startswith("average.") for name in arrays) else "params."
    values = {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
    if infinite := [name for name, value in values.items() if not np.isfinite(value).all()]:
        raise InputError(f"{step}: parameter {infinite[0]} holds NaN or infinite values, expected finite weights")
    shapes = {key: jax.ShapeDtypeStruct(shape, np.float32) for key, shape in param_shapes(model).items()}
    return model, fill(unflatten_dict(shapes), values, step)
