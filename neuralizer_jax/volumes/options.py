"""Checks what all predictions of whole scans take: the network, the planes and the number of examples."""

from collections.abc import Sequence

import flax.linen as nn

from neuralizer_jax.errors import InputError
from neuralizer_jax.inference.predict import check_model
from neuralizer_jax.model import Neuralizer
from neuralizer_jax.volumes.slices import PLANES


def check_options(model: nn.Module, planes: Sequence[str], examples_per_target: int) -> Neuralizer:
    """Returns the network, or raises InputError if it or an option cannot be used."""
    network = check_model(model, None)
    if network.dim != 2:
        raise InputError(f"the network has {network.dim} spatial axes, expected 2: slices are predicted")
    if not planes or set(planes) - set(PLANES) or len(set(planes)) < len(planes):
        raise InputError(f"planes: are {', '.join(planes) or 'none'}, expected some of {', '.join(PLANES)}")
    if examples_per_target < 1:
        raise InputError(f"examples_per_target: is {examples_per_target}, expected at least 1")
    return network
