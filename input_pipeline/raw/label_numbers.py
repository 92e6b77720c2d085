"""What the numbers of a label map in BIDS mean: by its name, or by the table beside it."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from input_pipeline.raw.bids_name import BidsName, parse_name
from input_pipeline.space.structure_names import FREESURFER_CLASSES
from neuralizer_jax.errors import InputError, one_line

# Programs with FreeSurfer's numbers, as labels of `desc-`, `seg-` or `atlas-`.
_FREESURFER = ("aseg", "aparc", "aparcaseg", "aparc+aseg", "wmparc", "freesurfer", "synthseg", "fastsurfer", "samseg")

_MOST_BYTES = 2**20

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


def find_table(path: Path, name: BidsName, tables: Mapping[Path, Sequence[Path]]) -> Path | None:
    """The table `..._dseg.tsv` that holds for a label map, by BIDS' inheritance: the nearest, in its folder or above.

    Args:
        path: the label map.
        name: its name.
        tables: the tables in each folder.
    """
    for folder in path.parents:
        holding = []
        for table in tables.get(folder, ()):
            try:
                entities = parse_name(table.name[: -len(".tsv")]).entities
            except InputError:
                continue
            if entities.items() <= name.entities.items():
                holding.append((len(entities), table))
        if holding:
            return max(holding)[1]
    return None


def read_table(path: Path) -> dict[int, int] | None:
    """FreeSurfer's number of each value that a table names; None if the values are FreeSurfer's numbers already.

    Raises:
        InputError: the table cannot be read, or names no structure of FreeSurfer.
    """
    try:
        rows = list(csv.DictReader(_read(path).splitlines(), delimiter="\t"))
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


def sources_of(path: Path, stem: str) -> Iterator[BidsName]:
    """The files that a derivative was made from, as the JSON file beside it says."""
    try:
        sidecar = json.loads(_read(path.with_name(f"{stem}.json")))
    except (OSError, ValueError):  # there need not be one
        return
    for key in ("Sources", "RawSources"):
        listed = sidecar.get(key, ()) if isinstance(sidecar, dict) else ()
        for source in [listed] if isinstance(listed, str) else listed if isinstance(listed, list) else ():
            try:
                yield parse_name(str(source).replace(":", "/").rpartition("/")[2].partition(".")[0])
            except InputError:
                continue


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError("too large")
    return data.decode("utf-8-sig")


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
