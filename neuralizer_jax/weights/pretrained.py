"""Weights that come with the package: a name in, the path of a release file out.

The files are in `weights_files/`, each beside its model card (`NAME.md`): data, training, scores, limits.
"""

import os
from pathlib import Path

from neuralizer_jax.errors import InputError

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
    """Path of weights given by name, or as a file or folder.

    A name always means the weights of the package, even if a folder of that name exists. The folder is `./small` or
    `Path("small")`.

    Example:
        >>> weights_path("runs/mine.safetensors").name
        'mine.safetensors'
    """
    return pretrained_path(weights) if weights in PRETRAINED else Path(weights)
