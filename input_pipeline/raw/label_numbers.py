"""What the numbers of a label map in BIDS mean: by its name, or by the table beside it."""

import csv
from pathlib import Path

from input_pipeline.space.structure_names import FREESURFER_CLASSES
from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.bids_name import BidsName
from neuralizer_jax.files.bids_sidecars import read_sidecar

# Programs with FreeSurfer's numbers, as labels of `desc-`, `seg-` or `atlas-`.
_FREESURFER = ("aseg", "aparc", "aparcaseg", "aparc+aseg", "wmparc", "freesurfer", "synthseg", "fastsurfer", "samseg")

# FreeSurfer's words for structures -> those of `FREESURFER_CLASSES`.
_WORDS = {
    "lh": "left", "l": "left", "rh": "right", "r": "right", "ctx": "cortex", "inf": "inferior", "lat": "lateral",
    "vent": "ventricle", "3rd": "third", "4th": "fourth", "ventraldc": "ventral diencephalon",
    "brainstem": "brain stem", "proper": "", "wm": "white matter", "hippo": "hippocampus",
}  # fmt: skip
_LABELS = {name: label for label, name in FREESURFER_CLASSES.items()}


def numbers_by_name(name: BidsName) -> bool | None:
    """Whether a label map has FreeSurfer's numbers: yes, no (an atlas), or None if its name does not say."""
    said = [name.entities[key].lower() for key in ("seg", "atlas", "desc") if key in name.entities]
    if any(label in _FREESURFER for label in said):
        return True
    return False if {"seg", "atlas"} & name.entities.keys() else None


def read_table(path: Path) -> dict[int, int] | None:
    """FreeSurfer's number of each value that a table names; None if the values are FreeSurfer's numbers already.

    Raises:
        InputError: the table cannot be read, or names no structure of FreeSurfer.
    """
    try:
        rows = list(csv.DictReader(read_sidecar(path).splitlines(), delimiter="\t"))
        names = {int(row["index"]): row["name"] or "" for row in rows}
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise InputError(f"{one_line(path)}: cannot be read, expected the columns index and name") from error
    found = {value: label for value, name in names.items() if (label := _freesurfer_label(name)) and 0 < value < 2**16}
    if not found:
        said = ", ".join(name for value, name in names.items() if value)[:80]
        raise InputError(f"{one_line(path)} names {one_line(said)}, expected structures as FreeSurfer names them")
    from input_pipeline.space.protocols import FREESURFER_FOLD  # needs NumPy, which `neuralizer --help` must not load

    if all(FREESURFER_FOLD[value] == label for value, label in found.items()):
        return None
    return found


def _freesurfer_label(name: str) -> int | None:
    """The label of a structure.

    >>> [_freesurfer_label(name) for name in ("Left-Thalamus-Proper", "ctx-lh-bankssts", "Gray Matter")]
    [10, 3, None]
    """
    letters = "".join(letter if letter.isalnum() else " " for letter in name.lower())
    words = " ".join(_WORDS.get(word, word) for word in letters.split()).split()
    side = next((word for word in words if word in ("left", "right")), "")
    if words[:1] == ["cortex"]:  # a parcel of it
        words = ["cerebral", "cortex"]
    if words[:2] == ["white", "matter"] and side:
        words = ["cerebral", "white", "matter"]
    return _LABELS.get(" ".join([side, *(word for word in words if word != side)]).strip())
