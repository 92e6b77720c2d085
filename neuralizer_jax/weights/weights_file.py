"""Weights files: a path in, a model and its parameters out, and back.

Reads release files (`.safetensors`), PyTorch and Lightning checkpoints (`.ckpt`, `.pt`, `.pth`) and training
checkpoints (folders). Writes release files, whose tensors have the published PyTorch names and layouts.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.weights import architecture
from neuralizer_jax.weights.parameters import Params, param_shapes
from neuralizer_jax.weights.pretrained import PRETRAINED, weights_path
from neuralizer_jax.weights.torch_names import from_torch_layout, to_torch_layout, torch_key

_METADATA_KEY = "neuralizer_jax"
_TORCH_SUFFIXES = (".ckpt", ".pt", ".pth")


@dataclass(frozen=True)
class Weights:
    """Content of a weights file.

    Attributes:
        model: the network.
        params: its parameters, a nested dict of float32 arrays.
        ignored: names of tensors in the file that the model does not have (optimizer state, buffers of losses).
    """

    model: nn.Module
    params: Params
    ignored: tuple[str, ...] = ()


def load_weights(path: str | os.PathLike, model: nn.Module | None = None) -> tuple[nn.Module, Params]:
    """Loads a model and its parameters. Never runs code from the file and needs no torch.

    Args:
        path: a release file (`.safetensors`), a PyTorch or Lightning checkpoint (`.ckpt`, `.pt`, `.pth`), the folder of
            a training checkpoint, the name of weights that come with the package (`"small"`), or weights on the
            Hugging Face hub (`"hf://OWNER/NAME"`, `"hf://OWNER/NAME@REVISION"`, needs `neuralizer-jax[hub]`).
        model: the network to fill, for weights with your own block or aggregation; None: as described in the file.

    Returns:
        The model and its parameters, a nested dict of float32 arrays: `model.apply({"params": params}, ...)`.

    Raises:
        InputError: the file is missing, damaged or no weights file, its tensors are not those of the model, or the hub
            does not have it.

    Example:
        >>> from neuralizer_jax import load_weights
        >>> model, params = load_weights("small")
        >>> type(model).__name__
        'Neuralizer'
    """
    weights = read_weights(path, model)
    return weights.model, weights.params


def read_weights(path: str | os.PathLike, model: nn.Module | None = None) -> Weights:
    """Like `load_weights`, and also tells which tensors of the file were ignored."""
    path = weights_path(path)
    if path.is_dir():
        from neuralizer_jax.weights.orbax_checkpoint import read_orbax_checkpoint

        return Weights(*read_orbax_checkpoint(path, model))
    if not path.exists():
        raise InputError(
            f"{path}: no such file, expected weights (.safetensors, .ckpt, .pt or a checkpoint folder), or the name of "
            f"weights that come with this copy of neuralizer_jax ({', '.join(PRETRAINED) or 'none'})"
        )
    if path.suffix == ".safetensors":
        tensors, config = _read_safetensors(path)
        hyper_parameters: dict[str, Any] = {}
    elif path.suffix in _TORCH_SUFFIXES:
        from neuralizer_jax.weights.torch_checkpoint import read_torch_checkpoint

        checkpoint = read_torch_checkpoint(path)
        tensors, config, hyper_parameters = checkpoint.state_dict, None, checkpoint.hyper_parameters
    else:
        raise InputError(
            f"{path}: unknown kind of weights, expected .safetensors, {', '.join(_TORCH_SUFFIXES)} or a folder"
        )
    # In the published Lightning module, the network is the attribute `net`.
    inside = {key.removeprefix("net."): value for key, value in tensors.items() if key.startswith("net.")}
    outside = tuple(sorted(key for key in tensors if not key.startswith("net."))) if inside else ()
    tensors = inside or tensors
    if model is None:
        model = architecture.build(config or architecture.config_from_tensors(tensors, hyper_parameters, path), path)
    params, ignored = _params_from_tensors(model, tensors, path)
    return Weights(model, params, outside + ignored)


def save_weights(path: str | os.PathLike, model: nn.Module, params: Params, *, half: bool = False) -> None:
    """Writes a release file: tensors with the published PyTorch names and layouts, and the model settings as metadata.

    `torch_model.load_state_dict(safetensors.torch.load_file(path))` loads it into the published network.

    Args:
        path: file to write, with the ending `.safetensors`; replaced whole or not at all.
        model: a `Neuralizer` or `UNet`.
        params: its parameters.
        half: round to float16, which halves the file. They are read back as float32.

    Raises:
        InputError: another ending, a folder that cannot be written, parameters of another model, or with `half` a
            parameter beyond the range of float16, 65504.

    Example:
        >>> import jax
        >>> from neuralizer_jax import Neuralizer, load_weights, save_weights
        >>> from neuralizer_jax.weights import init_params
        >>> model = Neuralizer(features=8, stages=2)
        >>> save_weights("mine.safetensors", model, init_params(model, jax.random.key(0)))
        >>> load_weights("mine.safetensors")[0] == model
        True
    """
    from safetensors.numpy import save

    path = Path(path)
    if path.suffix != ".safetensors":
        raise InputError(f"{path}: weights are written as .safetensors, expected a name that ends so")
    expected = param_shapes(model)
    values = {key: np.asarray(value) for key, value in flatten_dict(params).items()}
    got = {key: value.shape for key, value in values.items()}
    if got != expected:
        wrong = min(set(got.items()) ^ set(expected.items()))[0]
        raise InputError(
            f"{path}: parameter {'.'.join(wrong)} has shape {got.get(wrong)}, the model's has {expected.get(wrong)}"
        )
    if half:
        values = {key: _as_half(key, value, path) for key, value in values.items()}
    tensors = {torch_key(key): np.array(to_torch_layout(key, x, model.dim), order="C") for key, x in values.items()}
    # One entry, because safetensors writes several in random order: the same weights would give different bytes.
    metadata = {_METADATA_KEY: json.dumps(architecture.describe(model))}
    with written_whole(path) as temporary:
        temporary.write_bytes(save(tensors, metadata))


def _as_half(key: tuple[str, ...], value: np.ndarray, path: Path) -> np.ndarray:
    with np.errstate(over="ignore"):  # reported below
        half = value.astype(np.float16)
    if not np.isfinite(half).all():
        raise InputError(
            f"{path}: parameter {'.'.join(key)} holds {value[~np.isfinite(half)].flat[0]:g}, expected at most "
            f"{np.finfo(np.float16).max:g} in size for 16-bit numbers"
        )
    return half


def _params_from_tensors(
    model: nn.Module, tensors: dict[str, np.ndarray], path: Path
) -> tuple[Params, tuple[str, ...]]:
    expected = {torch_key(key): (key, shape) for key, shape in param_shapes(model).items()}
    if missing := sorted(set(expected) - set(tensors)):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"{path}: no tensor {missing[0]}{more}, expected all {len(expected)} of {_summary(model)}")
    params = {}
    for name, (key, shape) in expected.items():
        value, like = tensors[name], np.broadcast_to(np.float32(0), shape)  # takes no memory
        if value.shape != (want := to_torch_layout(key, like, model.dim).shape):
            raise InputError(f"{path}: tensor {name} has shape {value.shape}, expected {want} for {_summary(model)}")
        if value.dtype.kind in "biuc":
            raise InputError(f"{path}: tensor {name} holds {value.dtype}, expected floating-point numbers")
        with np.errstate(over="ignore"):  # reported below
            value = value.astype(np.float32)
        if not np.isfinite(value).all():
            raise InputError(f"{path}: tensor {name} holds NaN or infinite values, expected finite weights")
        params[key] = from_torch_layout(key, value, shape)
    return unflatten_dict(params), tuple(sorted(set(tensors) - set(expected)))


def _read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any] | None]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        config = json.loads(metadata[_METADATA_KEY]) if _METADATA_KEY in metadata else None
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({' '.join(str(error).split())})") from None
    if config is not None and not isinstance(config, dict):
        raise InputError(f"{path}: metadata {_METADATA_KEY} is not the description of a model")
    return tensors, config


def _summary(model: nn.Module) -> str:
    widths = model.features if isinstance(model.features, int) else "-".join(map(str, model.features))
    return f"{type(model).__name__}(features={widths}, stages={model.stages})"
