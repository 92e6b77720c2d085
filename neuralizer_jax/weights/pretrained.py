"""Weights by name: those that come with the package, or on the hub. A name in, the path of a file out.

The files are in `weights_files/`, each beside its model card (`NAME.md`): data, training, scores, limits.
"""

import os
from pathlib import Path

from neuralizer_jax.errors import InputError
from neuralizer_jax.weights.hub import hub_address, hub_file

WEIGHTS_FOLDER = Path(__file__).parent.parent / "weights_files"
DEFAULT = "small"

# Name -> release file, for all files of the folder.
PRETRAINED = {path.stem: path for path in sorted(WEIGHTS_FOLDER.glob("[!.]*.safetensors"))}


def pretrained_path(name: str = DEFAULT) -> Path:
    """Release file of weights that come with the package.

    Raises:
        InputError: no weights have this name.

    Example:
        >>> pretrained_path("small").name
        'small.safetensors'
    """
    if name not in PRETRAINED:
        expected = " or ".join([*PRETRAINED, "a weights file"])
        raise InputError(f"{name}: no weights of this name come with this copy of neuralizer_jax, expected {expected}")
    return PRETRAINED[name]


def weights_path(weights: str | os.PathLike) -> Path:
    """Path of weights given by name, by an address on the hub (`hf://OWNER/NAME`), or as a file or folder.

    A name always means the weights of the package, even if a folder of that name exists. The folder is `./small` or
    `Path("small")`. Weights of the hub are loaded into its local cache.

    Raises:
        InputError: see `hub.hub_file`.

    Example:
        >>> weights_path("runs/mine.safetensors").name
        'mine.safetensors'
    """
    if weights in PRETRAINED:
        return pretrained_path(str(weights))
    address = hub_address(weights)
    return hub_file(address) if address else Path(weights)
