"""Names and layouts of the published PyTorch code: Flax path and array <-> state-dict key and tensor.

A release file holds PyTorch names and layouts, so that it loads into both implementations. The rules below rename the
published modules. Parameters of other blocks and aggregations keep their Flax names, with dots.
"""

import re

import numpy as np

# Flax module path -> PyTorch module path. The published code wraps modules that run for each member in `.module`.
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
    """State-dict key of a Flax parameter path.

    Example:
        >>> torch_key(("enc_blocks_0", "context_conv", "layers_1", "kernel"))
        'enc_blocks.0.context_conv.module.layers.2.weight'
    """
    *modules, leaf = path
    name = ".".join(modules)
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    # In PyTorch's Sequential, an activation stands between two convolutions.
    name = re.sub(r"(?<=\.)layers_(\d+)$", lambda match: f"layers.{2 * int(match[1])}", name)
    return f"{name}.{'weight' if leaf == 'kernel' else leaf}"


def to_torch_layout(path: tuple[str, ...], value: np.ndarray, dim: int) -> np.ndarray:
    """Flax kernel `[*window, in, out]` or `[in, out]` -> PyTorch weight `[out, in, *window]`; others are unchanged.

    Example:
        >>> to_torch_layout(("target_embedding", "kernel"), np.zeros((3, 8)), dim=2).shape
        (8, 3, 1, 1)
    """
    if path[-1] != "kernel":
        return value
    if value.ndim == 2:
        value = value.reshape((1,) * dim + value.shape)
    return np.moveaxis(value, (-1, -2), (0, 1))


def from_torch_layout(path: tuple[str, ...], value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """PyTorch weight -> Flax kernel of the given shape, the inverse of `to_torch_layout`.

    Example:
        >>> from_torch_layout(("target_embedding", "kernel"), np.zeros((8, 3, 1, 1)), (3, 8)).shape
        (3, 8)
    """
    if path[-1] != "kernel":
        return value
    return np.moveaxis(value, (0, 1), (-1, -2)).reshape(shape)
