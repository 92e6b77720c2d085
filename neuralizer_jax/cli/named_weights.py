"""Weights as named on a command line: `FILE`, `NAME=FILE`, or for a U-Net `NAME@N=FILE`."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from neuralizer_jax.errors import InputError
from neuralizer_jax.weights.hub import hub_address
from neuralizer_jax.weights.pretrained import weights_path

if TYPE_CHECKING:
    import flax.linen as nn

    from neuralizer_jax.weights.parameters import Params


class NamedWeights(NamedTuple):
    """Weights with the name of their model.

    Attributes:
        name: name of the model.
        train_subjects: number of subjects that a U-Net was trained on, or `all`; empty if not given.
        training: number of the training, which distinguishes trainings on as many subjects.
        path: the weights file.
    """

    name: str
    train_subjects: str
    training: int
    path: Path


def parse_all(arguments: list[str]) -> list[NamedWeights]:
    """Parses all weights, see `parse`. Raises InputError if two of them would have the same name in a table."""
    weights = [parse(argument) for argument in arguments]
    names = [names for *names, _ in weights]
    if twice := [name for place, (name, *_) in enumerate(names) if names[place] in names[:place]]:
        raise InputError(f"--weights: {twice[0]} is there twice, expected names that differ, NAME=FILE")
    return weights


def parse(argument: str) -> NamedWeights:
    """Parses `FILE`, `NAME=FILE` or `NAME@N#TRAINING=FILE`, N a number or `all`. The default name is the file's.

    FILE may also be the name of weights that come with the package, or `hf://OWNER/NAME`. Raises InputError
    for anything else.

    >>> parse("Baseline-seen@8#1=runs/unet/best.safetensors")
    NamedWeights(name='Baseline-seen', train_subjects='8', training=1, path=PosixPath('runs/unet/best.safetensors'))
    """
    match = re.fullmatch(
        r"(?:(?P<name>[^=/@#]+)(?:@(?P<n>[1-9]\d*|all)(?:#(?P<training>\d+))?)?=)?(?P<file>.+)", argument
    )
    if match is None:
        raise InputError(f"--weights {argument!r}: expected FILE, NAME=FILE or NAME@N=FILE")
    path = weights_path(match["file"])
    name = match["name"] or _default_name(match["file"], path)
    return NamedWeights(name, match["n"] or "", int(match["training"] or 0), path)


def _default_name(given: str, path: Path) -> str:
    if address := hub_address(given):
        return address.repository.rpartition("/")[2]
    # A run's weights are all called best.safetensors.
    return path.absolute().parent.name if path.stem == "best" else path.stem


def load(named: NamedWeights, size: int, option: str) -> "tuple[nn.Module, Params]":
    """The model and its parameters, for images of some size in pixels; `option` names the size in a message.

    Raises:
        InputError: if the file cannot be read, or does not fit its name or the size.
    """
    from neuralizer_jax.unet import UNet
    from neuralizer_jax.weights import load_weights

    model, params = load_weights(named.path)
    if named.train_subjects and not isinstance(model, UNet):
        raise InputError(f"{named.name}: a network with a context, expected NAME=FILE without @{named.train_subjects}")
    if size % (multiple := 2 ** (model.stages - 1)):
        raise InputError(
            f"{option}: {size}, expected a multiple of {multiple} for the {model.stages} stages of {named.path}"
        )
    return model, params
