"""Weights as they are named on a command line: `FILE`, `NAME=FILE` or, of a U-Net, `NAME@N=FILE`."""

import re
from pathlib import Path
from typing import NamedTuple

from neuralizer_jax.errors import InputError
from neuralizer_jax.weights.pretrained import weights_path


class NamedWeights(NamedTuple):
    """Weights with the name of their model.

    Attributes:
        name: of the model.
        subjects: that a U-Net was trained on; None where that is not said.
        training: which training with so many subjects it is, from 0.
        path: of the weights.
    """

    name: str
    subjects: int | None
    training: int
    path: Path


def parse_all(arguments: list[str]) -> list[NamedWeights]:
    """All weights, see `parse`. Raises InputError where two could not be told from each other in a table."""
    weights = [parse(argument) for argument in arguments]
    names = [names for *names, _ in weights]
    if twice := [name for place, (name, *_) in enumerate(names) if names[place] in names[:place]]:
        raise InputError(f"--weights: {twice[0]} is there twice, expected names that differ, NAME=FILE")
    return weights


def parse(argument: str) -> NamedWeights:
    """The weights of `FILE`, `NAME=FILE` or `NAME@N#TRAINING=FILE`; a lone file names its model.

    In place of a file stands the name of weights that come with the package, too."""
    match = re.fullmatch(r"(?:(?P<name>[^=/@#]+)(?:@(?P<n>\d+)(?:#(?P<training>\d+))?)?=)?(?P<file>.+)", argument)
    if match is None:
        raise InputError(f"--weights {argument!r}: expected FILE, NAME=FILE or NAME@N=FILE")
    path = weights_path(match["file"])
    # A run's weights are all called the same.
    name = match["name"] or (path.absolute().parent.name if path.stem == "best" else path.stem)
    return NamedWeights(name, None if match["n"] is None else int(match["n"]), int(match["training"] or 0), path)
