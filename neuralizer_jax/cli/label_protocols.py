"""Names of labels: of a protocol whose numbers they have, `--label-names freesurfer`, or from a file."""

from collections.abc import Collection, Mapping
from pathlib import Path

from input_pipeline.space.structure_names import FREESURFER_NAMES, HAMMERS_CLASSES, NEUROMORPHOMETRICS_CLASSES
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.label_names import read_label_names

PROTOCOL_NAMES: Mapping[str, Mapping[int, str]] = {
    "freesurfer": FREESURFER_NAMES, "neuromorphometrics": NEUROMORPHOMETRICS_CLASSES, "hammers": HAMMERS_CLASSES,
}  # fmt: skip
# Hammers' numbers, 1 to 95, are no sign of its protocol.
_TELLING = ("freesurfer", "neuromorphometrics")


def names_given(argument: str) -> dict[int, str]:
    """The names of labels that `--label-names` asks for. Raises InputError if it is neither a protocol nor a table.

    >>> names_given("freesurfer")[17], names_given("neuromorphometrics")[47]
    ('left hippocampus', 'right hippocampus')
    """
    if argument in PROTOCOL_NAMES:
        return dict(PROTOCOL_NAMES[argument])
    path = Path(argument)
    if not path.suffix and not path.exists():
        raise InputError(f"--label-names: no file {argument}, expected one, or {', '.join(PROTOCOL_NAMES)}")
    return read_label_names(path)


def protocol_hint(labels: Collection[int]) -> list[str]:
    """A note on labels without names that may be those of a protocol. Protocols share numbers, so none is guessed.

    >>> protocol_hint([17, 53]), protocol_hint([1, 2])
    (['labels have no names: --label-names freesurfer, if their numbers are, or a file gives them'], [])
    """
    fitting = [name for name in _TELLING if len(labels) > 1 and PROTOCOL_NAMES[name].keys() >= set(labels)]
    if not fitting:
        return []
    return [f"labels have no names: --label-names {' or '.join(fitting)}, if their numbers are, or a file gives them"]
