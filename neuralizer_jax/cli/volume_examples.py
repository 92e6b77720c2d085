"""The examples of a prediction of whole scans: from a folder, two lists, or a prepared dataset."""

import argparse
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from input_pipeline.space.structure_names import FREESURFER_CLASSES
from input_pipeline.store.volumes import holds_volumes
from neuralizer_jax.cli.predict_checks import MANY_LABELS, check_masks
from neuralizer_jax.cli.stored_examples import UnreadExample, stored_examples
from neuralizer_jax.cli.volume_results import key_of
from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.annotated_labels import read_annotated
from neuralizer_jax.files.context_files import ContextPairs, explicit_pairs, named
from neuralizer_jax.files.example_volumes import find_examples
from neuralizer_jax.files.label_names import find_label_names, read_label_names
from neuralizer_jax.files.volume_grid import contradictions, lies_on, read_grid, read_labels
from neuralizer_jax.volumes.read_scan import read_example

# Words in the names of label maps with FreeSurfer's numbers.
_FREESURFER = {"aseg", "aparc", "aparcaseg", "wmparc", "synthseg"}


@dataclass(frozen=True, eq=False)
class Context:
    """Annotated scans.

    Attributes:
        examples: the scans, read one at a time when they are aligned.
        labels: to segment, in ascending order.
        names: name of each label, as far as known.
        notes: for the user.
    """

    examples: list[UnreadExample]
    labels: tuple[int, ...]
    names: dict[int, str]
    notes: list[str]


def has_examples(options: argparse.Namespace) -> bool:
    """Whether the command has annotated scans. Without, built-in heads are the examples."""
    return not options.context is options.context_in is options.context_out is None


def find_pairs_of_scans(options: argparse.Namespace, targets: Sequence[Path]) -> ContextPairs | None:
    """Finds the files of the examples; None if they are a prepared dataset. Raises InputError if there are none."""
    lists = (options.context_in, options.context_out)
    if options.context is not None and lists == (None, None):
        return None if holds_volumes(options.context) else find_examples(options.context, targets=targets)
    if options.context is None and None not in lists:
        return explicit_pairs(*lists)
    raise InputError("no context, expected either --context DIR or both --context-in and --context-out")


def read_context(options: argparse.Namespace, pairs: ContextPairs | None, targets: Sequence[Path]) -> Context:
    """Reads the examples, and checks their labels.

    Args:
        options: of the command.
        pairs: from `find_pairs_of_scans`.
        targets: whose contrast a prepared dataset shall show, if their names tell.

    Raises:
        InputError: a file cannot be read, a label map lies on other voxels than its image; there are no labels, or not
            those wanted; masks have different values; or what says which labels are annotated is wrong.
    """
    given = read_label_names(options.label_names) if options.label_names else None
    if pairs is None:
        if options.partial:
            raise InputError(f"--partial: {options.context} says itself what is annotated, expected no --partial")
        examples, every, names, notes = stored_examples(options.context, targets)
        return Context(examples, _wanted(every, options.labels), names if given is None else given, notes)
    notes = list(pairs.notes)
    if given is None:
        given, more = find_label_names(options.context, pairs.outputs)
        notes += more
        if not given and all(_FREESURFER & set(re.split(r"[\W_]+", path.name.lower())) for path in pairs.outputs):
            given = dict(FREESURFER_CLASSES)
    grids = {path: read_grid(path) for path in (*pairs.inputs, *pairs.outputs)}
    notes += contradictions(grids)
    for image, label_map in zip(pairs.inputs, pairs.outputs, strict=True):
        if not lies_on(grids[label_map], grids[image]):
            raise InputError(f"{one_line(label_map)}: lies on other voxels than its image {one_line(image)}")
    values = {path: np.unique(read_labels(path)).tolist() for path in pairs.outputs}
    if negative := [path for path, own in values.items() if own[0] < 0]:
        raise InputError(f"{one_line(negative[0])}: holds {values[negative[0]][0]}, expected labels from 0")
    if options.labels is None:
        check_masks(values)
    every = {value for own in values.values() for value in own if value}
    labels = _wanted(every, options.labels)
    annotated = _annotated(options, pairs, given)
    examples = []
    for image, label_map in zip(pairs.inputs, pairs.outputs, strict=True):
        own = set(values[label_map]) if annotated is None else annotated.get(image, every)
        looked_for = tuple(sorted(own & set(labels)))
        if not looked_for:
            notes.append(f"{one_line(image)}: was annotated for none of the labels, and is left out")
            continue
        key = key_of(image.read_bytes(), label_map.read_bytes(), looked_for)
        examples.append(UnreadExample(one_line(image), key, partial(read_example, image, label_map, looked_for)))
    notes += _suspicions(values, labels, given, partial=annotated is None)
    return Context(examples, labels, given, notes)


def _wanted(every: Collection[int], chosen: Sequence[int] | None) -> tuple[int, ...]:
    """The labels to segment."""
    if not every:
        raise InputError("the labels of all examples are 0 everywhere, expected at least one labelled voxel")
    if absent := sorted(set(chosen or ()) - set(every)):
        some = sorted(every)
        shown = ", ".join(map(str, some[:10])) + (", ..." if len(some) > 10 else "")
        raise InputError(f"--labels: {absent[0]} is in no example, expected some of {shown}")
    return tuple(sorted(every if chosen is None else chosen))


def _annotated(
    options: argparse.Namespace, pairs: ContextPairs, names: Mapping[int, str]
) -> dict[Path, set[int]] | None:
    """The labels that images were annotated for, if not for all; None: each for those that it shows."""
    if options.partial is True:
        return None
    if options.partial:
        return read_annotated(Path(options.partial), pairs.inputs, names)
    beside = options.context / "labels.json" if options.context else None
    return read_annotated(beside, pairs.inputs, names) if beside and beside.is_file() else {}


def _suspicions(
    values: Mapping[Path, Sequence[int]], labels: Sequence[int], names: Mapping[int, str], *, partial: bool
) -> list[str]:
    """Notes on labels that are valid but rarely meant."""
    notes = []
    if len(labels) > MANY_LABELS:
        notes.append(f"{len(labels)} labels are segmented, each takes seconds: --labels chooses some")
    empty = [path for path, own in values.items() if not set(own) & set(labels)]
    if empty and not partial:
        notes.append(f"{named(empty)}: holds none of the labels")
    holders = {label: sum(label in own for own in values.values()) for label in labels}
    rare = [label for label in labels if 2 * holders[label] <= len(values) - len(empty)]
    if rare and not partial:
        shown = [f"{label} {names.get(label, '')}".strip() + f" in {holders[label]}" for label in rare[:3]]
        more = f", {len(rare) - 3} more in few" if len(rare) > 3 else ""
        notes.append(
            f"of {len(values)} examples, label {one_line(', '.join(shown))}{more}: the others count as without it "
            "(--partial: as not annotated for it)"
        )
    return notes
