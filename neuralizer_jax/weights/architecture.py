"""A model as plain data and back, for the description of the network in a weights file."""

import re
from typing import Any

import flax.linen as nn
import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.model import MemberMean, Neuralizer, PairwiseConvAvg
from neuralizer_jax.unet import UNet

ARCHITECTURES = {"neuralizer": Neuralizer, "unet": UNet}

# Largest value of each setting, so that a hostile file cannot ask for a huge network.
_LIMITS = {"features": 4096, "stages": 8, "in_channels": 64, "out_channels": 64, "convs": 16, "dim": 3}


def describe(model: nn.Module) -> dict[str, Any]:
    """Plain description of a model: its architecture, and the settings that its parameters and output depend on.

    Example:
        >>> describe(UNet(features=8))["architecture"]
        'unet'
    """
    names = [name for name, kind in ARCHITECTURES.items() if type(model) is kind]
    if not names:
        raise InputError(f"{type(model).__name__}: not a model that can be saved, expected Neuralizer or UNet")
    features = model.features if isinstance(model.features, int) else list(model.features)
    config = {"architecture": names[0], "features": features, "segmentation_sigmoid": model.segmentation_sigmoid}
    config |= {key: getattr(model, key) for key in _LIMITS if key != "features"}
    if isinstance(model, Neuralizer):
        config |= {key: _name(getattr(model, key)) for key in ("block", "aggregation")}
    return config


def build(config: dict[str, Any], path: object) -> nn.Module:
    """Model from its description.

    Raises:
        InputError: naming `path`, if a value is missing or out of range, or names a block or aggregation that is not in
            this package.

    Example:
        >>> build(describe(UNet(features=8)), "w.safetensors") == UNet(features=8)
        True
    """
    architecture = config.get("architecture")
    if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
        raise InputError(f"{path}: architecture {architecture!r}, expected {' or '.join(ARCHITECTURES)}")
    known = set(_LIMITS) | {"architecture", "segmentation_sigmoid", "block", "aggregation"}
    if unknown := sorted(set(config) - known):
        raise InputError(f"{path}: unknown model setting {unknown[0]!r}, expected {', '.join(sorted(known))}")
    for key, default in (("block", PairwiseConvAvg), ("aggregation", MemberMean)):
        if config.get(key, _name(default)) != _name(default):
            raise InputError(
                f"{path}: made with {key} {config[key]!r}, which is not part of neuralizer_jax; "
                f"load it with load_weights(path, model=Neuralizer({key}=...))"
            )
    arguments: dict[str, Any] = {}
    for key, limit in _LIMITS.items():
        value = config.get(key)
        values = value if key == "features" and isinstance(value, list | tuple) and value else [value]
        if not all(type(number) is int and 1 <= number <= limit for number in values):
            raise InputError(f"{path}: model setting {key} is {value!r}, expected a whole number from 1 to {limit}")
        arguments[key] = tuple(values) if len(values) > 1 else values[0]
    sigmoid = config.get("segmentation_sigmoid", False)
    if type(sigmoid) is not bool:
        raise InputError(f"{path}: model setting segmentation_sigmoid is {sigmoid!r}, expected true or false")
    if isinstance(arguments["features"], tuple) and len(arguments["features"]) != arguments["stages"]:
        raise InputError(f"{path}: model setting features is {config['features']}, expected one number for each stage")
    if arguments["dim"] == 1:
        raise InputError(f"{path}: model setting dim is 1, expected 2 or 3")
    return ARCHITECTURES[architecture](**arguments, segmentation_sigmoid=sigmoid)


def config_from_tensors(
    tensors: dict[str, np.ndarray], hyper_parameters: dict[str, Any], path: object
) -> dict[str, Any]:
    """Description of the model of a bare state dict.

    Widths, stages, convolutions and dimensions are read from the hyper-parameters of a Lightning checkpoint if it has
    them, else from names and shapes of the tensors. Channels are always read from the shapes.

    Raises:
        InputError: naming `path` and the key, if a tensor that shows the architecture is missing.
    """

    def shape(key: str) -> tuple[int, ...]:
        if key not in tensors or tensors[key].ndim < 3:
            raise InputError(f"{path}: no tensor {key}, expected the weights of a Neuralizer or its U-Net baseline")
        return tensors[key].shape

    def count(pattern: str) -> int:
        return len({match[1] for match in (re.match(pattern, key) for key in tensors) if match})

    unit = "target_conv.layers"
    stages = hyper_parameters.get("nb_levels") or count(r"enc_blocks\.(\d+)\.")
    features = hyper_parameters.get("nb_inner_channels") or [
        shape(f"enc_blocks.{stage}.{unit}.0.weight")[0] for stage in range(stages)
    ]
    if isinstance(features, list | tuple):
        features = features[0] if len(set(features)) == 1 else list(features)
    slice_only = hyper_parameters.get("data_slice_only")
    embedding = shape("target_embedding.weight")
    return {
        "architecture": "neuralizer" if "context_embedding.module.weight" in tensors else "unet",
        "features": features,
        "stages": stages,
        "convs": hyper_parameters.get("nb_conv_layers_per_stage") or count(rf"enc_blocks\.0\.{unit}\.(\d+)\.weight"),
        "dim": len(embedding) - 2 if slice_only is None else (2 if slice_only else 3),
        "in_channels": embedding[1],
        "out_channels": shape("output_block.block.1.weight")[0],
    }


def _name(maker: Any) -> str:
    return getattr(maker, "__name__", None) or repr(maker)
