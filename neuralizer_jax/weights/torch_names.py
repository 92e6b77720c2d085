"""Parameters in the names and layouts of the published PyTorch code: Flax path and array <-> state-dict key and array.

A release file holds the PyTorch names and layouts, so that it loads into either implementation. Names of the published
modules are translated by the table below; those of a block or aggregation that the published code does not have keep
their Flax names, with dots.
"""

import re

import numpy as np

# Flax module path -> PyTorch module path; `.module` is the published code's wrapper around what runs for each member.
_RENAMES = [
    (r"^(enc_blocks|dec_blocks)_(\d+)", r"\1.\2"),
    (r"^(enc_blocks|dec_blocks)\.(\d+)\.(?=layers_)", r"\1.\2.target_conv."),  # the U-Net's stage is the unit itself
    (r"^(target|context)_down_(\d+)\.linear_layer", r"downsample_blocks.\2.\1_linear_layer"),
    (r"^(target|context)_merge_(\d+)", r"upsample_blocks.\2.\1_conv_layer"),
    (r"^output_block\.unit", "output_block.block.0"),
    (r"^output_block\.projection", "output_block.block.1"),
    (r"(context_embedding|context_conv|combine_conv_target|combine_conv_context)(?=\.|$)", r"\1.module"),
    (r"(context_conv_layer|context_linear_layer)$", r"\1.module"),
]


def torch_key(path: tuple[str, ...]) -> str:
    """State-dict key of a Flax parameter path, for example `("target_embedding", "kernel")`."""
    *modules, leaf = path
    name = ".".join(modules)
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    # An activation stands between two convolutions of PyTorch's Sequential.
    name = re.sub(r"(?<=\.)layers_(\d+)$", lambda match: f"layers.{2 * int(match[1])}", name)
    return f"{name}.{'weight' if leaf == 'kernel' else leaf}"


def to_torch_layout(path: tuple[str, ...], value: np.ndarray, dim: int) -> np.ndarray:
    """Flax kernel `[*window, in, out]` or `[in, out]` -> PyTorch weight `[out, in, *window]`; others as they are."""
    if path[-1] != "kernel":
        return value
    if value.ndim == 2:
        value = value.reshape((1,) * dim + value.shape)
    return np.ascontiguousarray(np.moveaxis(value, (-1, -2), (0, 1)))


def from_torch_layout(path: tuple[str, ...], value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """PyTorch weight -> Flax kernel of the given shape, the inverse of `to_torch_layout`."""
    if path[-1] != "kernel":
        return value
    return np.moveaxis(value, (0, 1), (-1, -2)).reshape(shape)


def torch_shape(path: tuple[str, ...], shape: tuple[int, ...], dim: int) -> tuple[int, ...]:
    """Shape in the state dict of a Flax parameter of the given shape."""
    if path[-1] != "kernel":
        return shape
    *window, channels, features = shape
    return (features, channels, *(window or (1,) * dim))
