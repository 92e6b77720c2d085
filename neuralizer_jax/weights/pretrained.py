"""Weights that come with the package: a name in, the path of a release file out.

They lie in `weights_files/`, each beside its card (`NAME.md`): data, training, scores, limits.
"""

import os
from pathlib import Path

from neuralizer_jax.errors import InputError

WEIGHTS_FOLDER = Path(__file__).parent.parent / "weights_files"
DEFAULT = "small"

# Name -> release file: whatever the folder holds.
PRETRAINED = {path.stem: path for path in sorted(WEIGHTS_FOLDER.glob("[!.]*.safetensors"))}


def pretrained_path(name: str = DEFAULT) -> Path:
    """Release file of weights that come with the package.

    Raises:
        InputError: there are none of this name.
    """
    if name not in PRETRAINED:
        expected = " or ".join([*PRETRAINED, "a weights file"])
        raise InputError(f"{name}: no weights of this name come with this copy of neuralizer_jax, expected {expected}")
    return PRETRAINED[name]


def weights_path(weights: str | os.PathLike) -> Path:
    """Path of weights that are given by name, or as a file or folder themselves.

    A name means the same wherever it is used: such a string is never a folder that happens to be called so, which is
    `./small` or `Path("small")`.
    """
    return pretrained_path(weights) if weights in PRETRAINED else Path(weights)
