"""The examples of a prediction of whole scans: from a folder, two lists, or a prepared dataset."""

import argparse
import functools
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from input_pipeline.space.structure_names import FREESURFER_NAMES
from input_pipeline.store.volumes import holds_volumes
from neuralizer_jax.cli.label_protocols import PROTOCOL_NAMES, names_given, protocol_hint
from neuralizer_jax.cli.predict_checks import MANY_LABELS, check_masks
from neuralizer_jax.cli.stored_examples import UnreadExample, stored_examples
from neuralizer_jax.cli.volume_results import key_of
from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.annotated_labels import read_annotated
from neuralizer_jax.files.bids_name import name_of_file
from neuralizer_jax.files.context_files import ContextPairs, explicit_pairs, named
from neuralizer_jax.files.endings import volume_ending
from neuralizer_jax.files.example_volumes import find_examples
from neuralizer_jax.files.label_names import find_label_names
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
        suspicions: notes on labels that are valid but rarely meant.
        protocol: of the labels of a prepared dataset; empty for files, which do not tell it.
    """

    examples: list[UnreadExample]
    labels: tuple[int, ...]
    names: dict[int, str]
    notes: list[str]
    suspicions: list[str] = field(default_factory=list)
    protocol: str = ""


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


def read_context(
    folder: Path | None,
    pairs: ContextPairs | None,
    targets: Sequence[Path],
    *,
    labels: Collection[int] | None,
    label_names: str | None,
    partial: bool | str | None,
    failed: dict[str, str] | None = None,
) -> Context:
    """Reads the examples, and checks their labels.

    Args:
        folder: of the examples; None for lists of files.
        pairs: the files, or None for a prepared dataset.
        targets: whose contrast a prepared dataset shall show, if their names tell.
        labels: to segment; None: all.
        label_names: see `label_protocols.names_given`; None: those of the table beside the examples.
        partial: whether each example was annotated for the labels alone that it shows; or the file that says for which;
            None: the file `labels.json` in the folder says it, or it was annotated for all.
        failed: what is wrong with examples that cannot be used, by their subject; None: the first one is an error.

    Raises:
        InputError: a file cannot be read, a label map lies on other voxels than its image; there are no labels, or not
            those wanted; masks have different values; or what says which labels are annotated is wrong.
    """
    names = names_given(label_names) if label_names else None
    if pairs is None:
        assert folder is not None  # two lists are pairs
        if partial:
            raise InputError(f"--partial: {folder} says itself what is annotated, expected no --partial")
        examples, every, protocol, notes = stored_examples(folder, targets)
        names = dict(PROTOCOL_NAMES.get(protocol, {})) if names is None else names
        return Context(examples, _wanted(every, labels), names, notes, protocol=protocol)
    notes = list(pairs.notes)
    subjects = _subjects(folder, pairs.inputs)
    values = _label_values(pairs, subjects, notes, failed)
    if labels is None:
        check_masks(values)
    every = {value for own in values.values() for value in own if value}
    if names is None:
        names, more = find_label_names(folder, pairs.outputs)
        if not names and all(_FREESURFER & set(re.split(r"[\W_]+", path.name.lower())) for path in pairs.outputs):
            names = dict(FREESURFER_NAMES)
        notes += more if names else [*more, *protocol_hint(every)]
    wanted = _wanted(every, labels)
    annotated = _annotated(folder, partial, pairs.inputs, names)
    examples = []
    for image, label_map in zip(pairs.inputs, pairs.outputs, strict=True):
        if label_map not in values:  # failed
            continue
        own = set(values[label_map]) if annotated is None else annotated.get(image, every)
        looked_for = tuple(sorted(own & set(wanted)))
        if not looked_for:
            notes.append(f"{one_line(image)}: was annotated for none of the labels, and is left out")
            continue
        key = key_of(image.read_bytes(), label_map.read_bytes(), looked_for)
        read = functools.partial(read_example, image, label_map, looked_for)
        examples.append(UnreadExample(one_line(image), *subjects[image], key, read))
    return Context(examples, wanted, names, notes, _suspicions(values, wanted, names, partial=annotated is None))


def _subjects(folder: Path | None, images: Sequence[Path]) -> dict[Path, tuple[str, str]]:
    """The name of each scan in tables, and who it shows: by names of BIDS, or each another person."""
    stems = {path: path.name[: -len(volume_ending(path)) or None] for path in images}
    times = Counter(stems.values())
    subjects = {}
    for path, stem in stems.items():
        inside = path if folder is None else path.relative_to(folder)
        subject = one_line(stem if times[stem] == 1 else inside.as_posix())
        try:
            person = name_of_file(inside, stem).entities["sub"]
        except InputError:  # no name of BIDS
            person = subject
        subjects[path] = subject, person
    return subjects


def _label_values(
    pairs: ContextPairs, subjects: Mapping[Path, tuple[str, str]], notes: list[str], failed: dict[str, str] | None
) -> dict[Path, list[int]]:
    """The values of each label map that lies on its image; those that do not are added to `failed`, or raise."""
    values = {}
    for image, label_map in zip(pairs.inputs, pairs.outputs, strict=True):
        try:
            grids = {path: read_grid(path) for path in (image, label_map)}
            if not lies_on(grids[label_map], grids[image]):
                raise InputError(f"{one_line(label_map)}: lies on other voxels than its image {one_line(image)}")
            own = np.unique(read_labels(label_map)).tolist()
            if own[0] < 0:
                raise InputError(f"{one_line(label_map)}: holds {own[0]}, expected labels from 0")
        except InputError as error:
            if failed is None:
                raise
            failed[subjects[image][0]] = str(error)
            continue
        notes += contradictions(grids)
        values[label_map] = own
    if not values:
        raise InputError(next(iter((failed or {}).values())))
    return values


def _wanted(every: Collection[int], chosen: Collection[int] | None) -> tuple[int, ...]:
    """The labels to segment."""
    if not every:
        raise InputError("the labels of all examples are 0 everywhere, expected at least one labelled voxel")
    if absent := sorted(set(chosen or ()) - set(every)):
        some = sorted(every)
        shown = ", ".join(map(str, some[:10])) + (", ..." if len(some) > 10 else "")
        raise InputError(f"--labels: {absent[0]} is in no example, expected some of {shown}")
    return tuple(sorted(every if chosen is None else chosen))


def _annotated(
    folder: Path | None, partial: bool | str | None, images: Sequence[Path], names: Mapping[int, str]
) -> dict[Path, set[int]] | None:
    """The labels that images were annotated for, if not for all; None: each for those that it shows."""
    if partial is True:
        return None
    beside = Path(partial) if partial else folder / "labels.json" if folder else None
    return read_annotated(beside, images, names) if beside and (partial or beside.is_file()) else {}


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
