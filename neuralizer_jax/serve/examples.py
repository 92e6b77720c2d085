"""The examples of the workbench: their labels and names, and how a corrected scan becomes one of them.

Whatever is replaced is kept (`folders.keep`). The label map is written when everything else of its example is there.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from input_pipeline.space.structure_colours import colours_by_name
from input_pipeline.space.structure_names import FREESURFER_CLASSES
from neuralizer_jax.errors import InputError, OutputError, one_line
from neuralizer_jax.files.annotated_labels import read_annotated
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.files.endings import volume_ending
from neuralizer_jax.files.image_files import image_suffix, read_image, write_image
from neuralizer_jax.files.label_names import find_label_names
from neuralizer_jax.files.table_cell import plain_cell
from neuralizer_jax.files.volume_grid import read_grid, read_labels, write_labels, write_scan
from neuralizer_jax.serve.example_places import new_places
from neuralizer_jax.serve.folders import Examples, Folders, Pair, ScanFile, find_context, keep

# Outputs with more values are images, not labels.
_MOST_LABELS = 1000

# Names that are tried for a new example, where it would hide one that is there.
_MOST_TRIED = 3


@dataclass(frozen=True)
class Structure:
    """A label, its name, and its colour as `#rrggbb`."""

    value: int
    name: str
    colour: str


def structures_of(values: Iterable[int], names: Mapping[int, str]) -> list[Structure]:
    """Structures in ascending order, a colour each, those that FreeSurfer names in its colours.

    >>> structures_of([53, 17], {17: "Left-Hippocampus"})[0]
    Structure(value=17, name='Left-Hippocampus', colour='#fffa17')
    """
    values = sorted(values)
    shown = [names.get(value) or f"label {value}" for value in values]
    colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in colours_by_name(shown)]
    return [Structure(*row) for row in zip(values, shown, colours, strict=True)]


def values_of(output: Path) -> tuple[int, ...] | None:
    """The labels of a file besides 0; None if it holds an image. Raises InputError if it cannot be read."""
    status = output.stat()
    return _values(output, status.st_size, status.st_mtime_ns)


def names_of(context: Path, examples: Examples) -> dict[int, str]:
    """Names of the labels of a folder of examples, as `neuralizer predict` takes them."""
    outputs = [pair.output for pair in examples.pairs.values()]
    return find_label_names(context, outputs)[0] if context.is_dir() else {}


def annotated_labels(context: Path, pairs: Sequence[Pair], names: Mapping[int, str]) -> dict[Path, set[int]]:
    """The labels that each image was annotated for: those that `labels.json` lists, otherwise all."""
    every = {value for pair in pairs for value in values_of(pair.output) or ()}
    listed = context / "labels.json"
    found = read_annotated(listed, [pair.image for pair in pairs], names) if listed.is_file() else {}
    return {pair.image: found.get(pair.image, every) for pair in pairs}


def save_example(
    folders: Folders, scan: ScanFile, labels: np.ndarray, annotated: Mapping[int, str]
) -> tuple[Pair, list[str]]:
    """Stores a scan and its labels in the folder of examples.

    Args:
        folders: of the workbench.
        scan: the scan. If it is an example already, its labels are replaced, and those before kept.
        labels: on the scan's voxels, `[X, Y, Z]` in its file's order of axes, or `[H, W]` of an image.
        annotated: the labels that were looked for, with their names; none: those before, or those that occur.

    Returns:
        The example, and notes for the user.

    Raises:
        InputError: there is no label; or the folder holds other examples, with which it cannot lie.
        OutputError: a file cannot be written.
    """
    shown = set(np.unique(labels).tolist()) - {0}
    if not shown:
        raise InputError("the labels are 0 everywhere, expected at least one labelled voxel")
    if min(shown) < 0:
        raise InputError(f"the labels hold {min(shown)}, expected labels from 0")
    before = find_context(folders.context)
    if before.volumes not in (None, scan.is_volume):
        kind = "volumes" if before.volumes else "2-D images"
        raise InputError(f"{one_line(folders.context)}: holds {kind}, expected another folder with --context")
    pairs = list(before.pairs.values())
    if any(values_of(pair.output) is None for pair in pairs):
        raise InputError(f"{one_line(folders.context)}: its outputs are images, expected a folder of label maps")
    names = names_of(folders.context, before)
    known = annotated_labels(folders.context, pairs, names) if pairs and scan.is_volume else {}
    places = [scan.pair] if scan.pair else islice(new_places(scan.path, folders.context, before), _MOST_TRIED)
    for pair in places:
        made = _write_pair(pair, scan, labels, folders.context)
        after = find_context(folders.context)
        if {*pairs, pair} <= set(after.pairs.values()):
            break
        for path in made:
            path.unlink(missing_ok=True)
    else:
        why = after.notes[0] if after.notes else "it would not be found"
        raise InputError(f"{one_line(pair.output)}: cannot lie beside the other examples ({why})")
    notes = _write_names(folders.context, after, {**annotated, **{x: annotated.get(x, "") for x in shown}})
    if scan.is_volume:
        known[pair.image] = shown | (set(annotated) or known.get(pair.image, set()))
        notes += _write_annotated(folders.context, known)
    return pair, notes


def _write_pair(pair: Pair, scan: ScanFile, labels: np.ndarray, context: Path) -> list[Path]:
    """Writes the files of an example; returns those that were not there before."""
    made = [path for path in (pair.image, pair.output) if not path.exists()]
    for path in made:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{one_line(path.parent)}: cannot be made ({error.strerror or error})") from None
    if pair.image in made:
        if image_suffix(pair.image) == image_suffix(scan.path):
            with written_whole(pair.image) as temporary:
                shutil.copyfile(scan.path, temporary)
        else:
            from neuralizer_jax.volumes.read_scan import read_scan

            write_scan(pair.image, read_scan(scan.path).values, read_grid(scan.path))
            changed = scan.path.stat().st_mtime_ns
            os.utime(pair.image, ns=(changed, changed))  # by which `find_scans` knows it again
    keep(pair.output, context)
    if scan.is_volume:
        write_labels(pair.output, labels, read_grid(scan.path))
    else:
        write_image(pair.output, labels, read_image(scan.path), kind="labels")
    return made


def _write_names(context: Path, examples: Examples, given: Mapping[int, str]) -> list[str]:
    """Writes names that the folder's table lacks; returns a note where another table hides them."""
    known = names_of(context, examples)
    new = {value: name for value, name in given.items() if name and name != known.get(value)}
    if not new:
        return []
    values = {value for pair in examples.pairs.values() for value in values_of(pair.output) or ()}
    table = context / "labels.tsv"
    was_there = table.exists()
    keep(table, context)
    write_names(table, {**{value: FREESURFER_CLASSES.get(value, "") for value in values}, **known, **new})
    found = names_of(context, examples)
    if missing := [name for value, name in new.items() if found.get(value) != name]:
        if not was_there:
            table.unlink()
        return [f"{one_line(missing[0])}: another table in {one_line(context)} has the names, add this one to it"]
    return []


def write_names(path: Path, names: Mapping[int, str]) -> None:
    """Writes a table of names as `neuralizer predict` reads it. Raises OutputError if it cannot be written."""
    rows = [f"{value}\t{plain_cell(one_line(name))}" for value, name in sorted(names.items()) if name]
    with written_whole(path) as temporary:
        temporary.write_text("\n".join(["index\tname", *rows]) + "\n", encoding="utf-8")


def _write_annotated(context: Path, annotated: Mapping[Path, set[int]]) -> list[str]:
    """Writes `labels.json` where not every example was annotated for all labels; returns a note if it cannot say so."""
    path = context / "labels.json"
    every = set().union(*annotated.values())
    if not path.exists() and all(own == every for own in annotated.values()):
        return []
    keep(path, context)
    try:
        with written_whole(path) as temporary:
            temporary.write_text(annotated_json(annotated), encoding="utf-8")
            read_annotated(temporary, list(annotated), {})
    except OutputError:
        raise
    except InputError as error:
        return [f"labels.json: cannot say what each example was annotated for ({error}), so it counts for all labels"]
    return []


def annotated_json(annotated: Mapping[Path, set[int]]) -> str:
    """The text of `labels.json`.

    >>> annotated_json({Path("ann/sub-01_T1w.nii.gz"): {53, 17}})
    '{\\n "sub-01_T1w.nii.gz": [17, 53]\\n}\\n'
    """
    rows = [f" {json.dumps(image.name)}: {json.dumps(sorted(own))}" for image, own in annotated.items()]
    return "{\n" + ",\n".join(rows) + "\n}\n"


@lru_cache(maxsize=4096)
def _values(output: Path, size: int, changed: int) -> tuple[int, ...] | None:
    """The labels of a file, read again when it was changed."""
    try:
        labels = read_labels(output) if volume_ending(output) else read_image(output, labels=True).pixels
    except InputError:
        if not volume_ending(output):
            read_image(output)
        return None
    values = np.unique(labels)
    return None if len(values) > _MOST_LABELS else tuple(int(value) for value in values if value)
