"""What lies beside a file in BIDS: the table of its labels, and the JSON file with its sources."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.bids_name import BidsName, parse_name

_MOST_BYTES = 2**20


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


def sources_of(path: Path, stem: str) -> Iterator[BidsName]:
    """The files that a derivative was made from, as the JSON file beside it says."""
    try:
        sidecar = json.loads(read_sidecar(path.with_name(f"{stem}.json")))
    except (OSError, ValueError):  # there need not be one
        return
    for key in ("Sources", "RawSources"):
        listed = sidecar.get(key, ()) if isinstance(sidecar, dict) else ()
        for source in [listed] if isinstance(listed, str) else listed if isinstance(listed, list) else ():
            try:
                yield parse_name(str(source).replace(":", "/").rpartition("/")[2].partition(".")[0])
            except InputError:
                continue


def read_sidecar(path: Path) -> str:
    """The text of a small file. Raises OSError, or ValueError for a large one or other bytes than UTF-8."""
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError("too large")
    return data.decode("utf-8-sig")
