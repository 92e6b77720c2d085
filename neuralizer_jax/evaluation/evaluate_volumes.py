"""Scores models on whole annotated scans: each target is segmented from the other scans or from another folder."""

import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np
from tqdm import tqdm

from neuralizer_jax.errors import InputError, OutputError, one_line
from neuralizer_jax.evaluation.label_fusion import DeformableVote, majority_vote
from neuralizer_jax.evaluation.score_log import ScoresTable
from neuralizer_jax.evaluation.scores import Kind
from neuralizer_jax.evaluation.volume_scores import VOLUME_METRICS, volume_scores
from neuralizer_jax.volumes.aligned import AlignedExample, AlignedScan, align_example
from neuralizer_jax.volumes.predict import predict_volume
from neuralizer_jax.volumes.scan import Example, Scan

# Seconds between updates of the progress if stderr is no terminal.
_EVERY = 10.0


@dataclass(frozen=True, eq=False)
class AnnotatedScan:
    """A scan with its labels, in a file.

    Attributes:
        subject: its name in the table of scores, another one for each scan.
        person: who it shows. A target is not segmented from scans of the same person.
        read: reads it.
    """

    subject: str
    person: str
    read: Callable[[], Example]


# From a target in RAS order whose alignment is known, the same aligned, aligned examples, labels to find and the number
# of examples of each, to labels `[X, Y, Z]` on the target's voxels, and the Dice that a network expects of each label.
Segmented = tuple[np.ndarray, Mapping[int, float]]
Segment = Callable[[Scan, AlignedScan, Sequence[AlignedExample], Sequence[int], int], Segmented]


@dataclass(frozen=True)
class VolumeModel:
    """What segments whole scans. `name` and `kind` are those in the table of scores."""

    name: str
    segment: Segment
    kind: Kind = Kind.IN_CONTEXT

    @property
    def columns(self) -> tuple[str | int, ...]:
        """Its columns in the table of scores (`scores.MODEL_KEYS`)."""
        return self.name, self.kind, "", 0


@dataclass
class Outcome:
    """What an evaluation did.

    Attributes:
        made: number of segmented scans.
        failures: what is wrong with each scan that could not be used.
        left_out: for each context size, how many structures of targets had too few examples.
    """

    made: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    left_out: dict[int, int] = field(default_factory=dict)


def volume_network(name: str, model: nn.Module, params: dict[str, Any]) -> VolumeModel:
    """A network, which segments as `predict_volume` does."""
    return VolumeModel(name, partial(_predicted, model, params))


def volume_baselines() -> list[VolumeModel]:
    """Untrained baselines: votes of the labels of the same examples, aligned affinely, and then deformed as well.

    >>> [baseline.name for baseline in volume_baselines()]
    ['Majority vote', 'Deformable registration']
    """
    votes = {"Majority vote": majority_vote, "Deformable registration": DeformableVote()}
    return [VolumeModel(name, partial(_voted, vote), Kind.UNTRAINED) for name, vote in votes.items()]


def evaluate_volumes(
    models: Sequence[VolumeModel],
    targets: Sequence[AnnotatedScan],
    examples: Sequence[AnnotatedScan],
    table: ScoresTable,
    *,
    experiment: str,
    dataset: str,
    sizes: Sequence[int],
    labels: Collection[int] | None = None,
    names: Mapping[int, str] | None = None,
    aligned: bool = False,
    deformable: bool = True,
    cache: Path | None = None,
) -> Outcome:
    """Scores all models on all targets, and adds to the table what it lacks.

    Each structure that a target shows is segmented from the N examples that resemble the target most where it lies, of
    those that were annotated for it and show other persons, one of which shows it.

    Args:
        models: with different names.
        targets: may be the examples, or some of them: then one is left out after another.
        examples: annotated scans.
        table: an open table. Scores are appended as each target is segmented.
        experiment: its name in the table.
        dataset: the targets' name in the table.
        sizes: numbers N of examples.
        labels: structures; None: all.
        names: of labels; others are called by their number.
        aligned: all scans lie in MNI152 space already.
        deformable: whether scans are deformed to the template too.
        cache: folder of alignments and deformations, see `volumes.aligned.align_scan`.

    Raises:
        InputError: no example shows one of the labels; or, as OutputError, a file cannot be written. A scan that cannot
            be used does not stop the others.
    """
    alignment: dict[str, Any] = {"aligned": aligned, "deformable": deformable, "cache": cache}
    outcome = Outcome(left_out=dict.fromkeys(sizes, 0))
    classes = class_names(names or {})
    bar = partial(tqdm, unit="scan", mininterval=0.1 if sys.stderr.isatty() else _EVERY, dynamic_ncols=True)
    ready = {}
    for scan in bar(examples, "aligning"):
        with _noting(scan, outcome):
            ready[scan] = align_example(scan.read(), **alignment)
    known = {label for example in ready.values() for label in example.moments}
    if ready and (absent := sorted(set(labels or ()) - known)):
        some = ", ".join(map(str, sorted(known)[:10])) + (", ..." if len(known) > 10 else "")
        raise InputError(f"label {absent[0]} is in no example, expected some of {some}")
    targets = [scan for scan in targets if scan.subject not in outcome.failures]
    with bar(desc="segmenting", total=len(targets) * len(sizes) * len(models)) as progress:
        for target in targets:
            others = [example for scan, example in ready.items() if scan.person != target.person]
            with _noting(target, outcome):
                truth = target.read()
                own = ready.get(target) or align_example(truth, **alignment)
                _refuse_same(own, others)
                shown = [label for label in own.moments if labels is None or label in labels]
                found = {label for example in others for label in example.moments}
                annotated = Counter(label for example in others for label in example.annotated)
                for size in sizes:
                    wanted = [label for label in shown if label in found and annotated[label] >= size]
                    outcome.left_out[size] += len(shown) - len(wanted)
                    for model in models:
                        keys = {
                            label: (experiment, *model.columns, size, "segmentation", dataset, "",
                                    classes.get(label, str(label)), "volume", 0, target.subject, 0)
                            for label in wanted
                        }  # fmt: skip
                        if any((*key, metric) not in table.known for key in keys.values() for metric in VOLUME_METRICS):
                            table.append(_scored(model, truth.scan, own, others, size, keys))
                            outcome.made += 1
                        progress.update()
    return outcome


def class_names(names: Mapping[int, str]) -> dict[int, str]:
    """The class of each label in the table of scores: its name, with its number where several have that name.

    >>> class_names({17: "hippocampus", 53: "hippocampus", 16: "brain stem"})
    {17: 'hippocampus 17', 53: 'hippocampus 53', 16: 'brain stem'}
    """
    times = Counter(names.values())
    return {label: one_line(name) + (f" {label}" if times[name] > 1 else "") for label, name in names.items()}


@contextmanager
def _noting(scan: AnnotatedScan, outcome: Outcome) -> Iterator[None]:
    """Notes what is wrong with a scan; a full disk is no fault of the scan."""
    try:
        yield
    except OutputError:
        raise
    except InputError as error:
        outcome.failures[scan.subject] = str(error)


def _refuse_same(target: AlignedExample, examples: Sequence[AlignedExample]) -> None:
    """Raises InputError if an example is a copy of the target, which would show the models the answer."""
    for example in examples:
        if np.array_equal(example.scan.values, target.scan.values):
            raise InputError(f"{target.scan.name}: is the same image as {example.scan.name}, expected another person's")


def _scored(
    model: VolumeModel,
    scan: Scan,
    own: AlignedExample,
    examples: Sequence[AlignedExample],
    size: int,
    keys: Mapping[int, tuple[str | int, ...]],
) -> Iterator[tuple]:
    """Rows of the table for a target: its structures as a model segments them."""
    canonical = scan.canonical()
    target = Scan(canonical.values, canonical.affine, scan.name, own.scan.alignment.to_mni)
    found, expected = model.segment(target, own.scan, examples, tuple(keys), size)
    scores = volume_scores(found, own.labels, keys, affine=target.affine, to_mni=own.scan.to_mni)
    for label, key in keys.items():
        yield from ((*key, metric, score) for metric, score in scores[label].items())
        if label in expected:
            yield (*key, "expected_dice", expected[label])


def _predicted(model, params, scan, target, examples, labels, size):
    found = predict_volume(
        model, params, scan, examples, label_values=labels, examples_per_target=size,
        deformable=target.deformation is not None,
    )  # fmt: skip
    return found.labels, {label: structure.confidence for label, structure in found.structures.items()}


def _voted(vote, scan, target, examples, labels, size):
    return vote(target, examples, labels, size), {}
