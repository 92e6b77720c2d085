"""`neuralizer evaluate --volumes DIR`: scores of models on whole annotated scans."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from neuralizer_jax.cli.segmentation_options import label_list

if TYPE_CHECKING:
    from neuralizer_jax.cli.named_weights import NamedWeights
    from neuralizer_jax.cli.volume_examples import Context
    from neuralizer_jax.evaluation.evaluate_volumes import AnnotatedScan, VolumeModel
    from neuralizer_jax.files.context_files import ContextPairs

# Options that only test cases of prepared datasets have, and those that only whole scans have.
_OF_DATASETS: tuple[str, ...] = (
    "data",
    "split",
    "context_split",
    "context_data",
    "draws",
    "modalities",
    "planes",
    "context_modality",
)
_OF_DATASETS += ("bootstrap", "augment")
_OF_SCANS = ("targets", "labels", "label_names", "partial", "aligned", "affine")

# Context sizes of test cases, and numbers of examples of whole scans.
SIZES, _EXAMPLES = (1, 2, 4, 8, 16, 32), (1, 8)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of whole scans."""
    scans = parser.add_argument_group("whole scans (--volumes)")
    scans.add_argument(
        "--targets",
        metavar="DIR",
        type=Path,
        help="annotated scans to segment from those of --volumes, a folder of the same kinds (default: each of "
        "--volumes, from the others)",
    )
    scans.add_argument(
        "--labels", metavar="LABEL", nargs="+", type=label_list, help="structures to score, as 47,48 (default: all)"
    )
    scans.add_argument(
        "--label-names",
        metavar="NAMES",
        help="names of the labels in the table, a file or a protocol as of `neuralizer predict` (default: the table "
        "beside the scans)",
    )
    scans.add_argument(
        "--partial",
        metavar="FILE",
        nargs="?",
        const=True,
        help="which labels each scan was annotated for, as of `neuralizer predict`: those that it shows, or that FILE "
        "lists for --volumes (default: labels.json in a folder, or all)",
    )
    scans.add_argument(
        "--aligned", action="store_true", help="all scans are in MNI152 space: do not align them affinely"
    )
    scans.add_argument("--affine", action="store_true", help="align affinely only: do not deform scans to MNI152")

    parser.set_defaults(defaults={name: parser.get_default(name) for name in (*_OF_DATASETS, *_OF_SCANS)})


def check_options(options: argparse.Namespace) -> None:
    """Chooses the default of `--sizes`. Raises InputError for an option of the other kind of evaluation."""
    from neuralizer_jax.errors import InputError

    others, other = (_OF_DATASETS, "--config") if options.volumes else (_OF_SCANS, "--volumes")
    for name in others:
        if getattr(options, name) != options.defaults[name]:
            raise InputError(f"--{name.replace('_', '-')}: is an option of {other}, expected {other} with it")
    if options.volumes and options.changes:
        raise InputError(f"{options.changes[0]}: unknown, expected --config with --config.KEY=VALUE")
    options.sizes = options.sizes or (_EXAMPLES if options.volumes else SIZES)


def evaluate_scans(options: argparse.Namespace, weights: "Sequence[NamedWeights]") -> tuple[str, int, int]:
    """Runs the evaluation, and tells what was left out.

    Returns:
        The experiment's name in the table, the number of predictions, and the exit status.
    """
    from neuralizer_jax.cli.start_jax import start_jax
    from neuralizer_jax.cli.volume_examples import read_context
    from neuralizer_jax.errors import InputError, one_line
    from neuralizer_jax.evaluation.evaluate_volumes import evaluate_volumes, volume_baselines
    from neuralizer_jax.evaluation.models_file import describe_model, record_models
    from neuralizer_jax.evaluation.score_log import ScoresTable
    from neuralizer_jax.files.context_files import identity, refuse_targets

    start_jax()
    networks = [_network(named) for named in weights]
    baselines = volume_baselines() if options.untrained else []
    target_pairs = _pairs(options.targets) if options.targets else None
    pairs = _pairs(options.volumes, target_pairs.inputs if target_pairs else ())
    failed: dict[str, str] = {}
    labels = options.labels and {label for part in options.labels for label in part}
    context = read_context(
        options.volumes, pairs, target_pairs.inputs if target_pairs else (),
        labels=labels, label_names=options.label_names, partial=options.partial, failed=failed,
    )  # fmt: skip
    examples = targets = _scans(context)
    notes = [*context.notes, *context.suspicions]
    if options.targets:
        if pairs and target_pairs:
            refuse_targets(pairs.inputs, {identity(path) for path in target_pairs.inputs})
        # A file lists the examples.
        partial = options.partial is True and target_pairs is not None
        others = read_context(
            options.targets, target_pairs, (), labels=None, label_names=None, partial=partial, failed=failed
        )
        if context.protocol and others.protocol not in ("", context.protocol):
            raise InputError(
                f"{one_line(options.targets)}: has labels of {others.protocol}, expected those of"
                f" {one_line(options.volumes)}, {context.protocol}"
            )
        targets = _scans(others)
        notes += others.notes
    elif len(examples) < 2:
        raise InputError(f"{one_line(options.volumes)}: has one annotated scan, expected several (or --targets)")
    for note in dict.fromkeys(notes):
        print(f"neuralizer: note: {note}", file=sys.stderr)
    experiment = options.experiment or "volumes"
    sources = [named.path for named in weights] + [None] * len(baselines)
    described = [
        describe_model(model.columns, experiment, path, options.command_line, str(options.volumes))
        for model, path in zip([*networks, *baselines], sources, strict=True)
    ]
    with ScoresTable(options.out / "scores.csv") as table:
        record_models(options.out, described)
        outcome = evaluate_volumes(
            [*networks, *baselines],
            targets[: options.subjects or None],
            examples,
            table,
            experiment=experiment,
            dataset=(options.targets or options.volumes).resolve().name,
            sizes=options.sizes,
            labels=labels,
            names=context.names,
            aligned=options.aligned,
            deformable=not options.affine,
        )
    for size, structures in outcome.left_out.items():
        if structures:
            print(f"N = {size}: {structures} structures of targets left out, fewer examples are annotated for them")
    failed |= outcome.failures
    for subject, message in failed.items():
        print(f"neuralizer: error: {subject} is left out: {one_line(message)}", file=sys.stderr)
    return experiment, outcome.made, int(bool(failed))


def _network(named: "NamedWeights") -> "VolumeModel":
    from neuralizer_jax.errors import InputError
    from neuralizer_jax.evaluation.evaluate_volumes import volume_network
    from neuralizer_jax.inference.predict import check_model
    from neuralizer_jax.weights import load_weights

    model, params = load_weights(named.path)
    try:
        network = check_model(model, None)
        if named.train_subjects or network.dim != 2:
            raise InputError(f"{network.dim}-D, given as NAME@N; expected a 2-D network, as NAME=FILE")
    except InputError as error:
        raise InputError(f"{named.path}: {error}") from None
    return volume_network(named.name, network, params)


def _pairs(folder: Path, targets: Sequence[Path] = ()) -> "ContextPairs | None":
    """The files of annotated scans; None for a prepared dataset."""
    from input_pipeline.store.volumes import holds_volumes
    from neuralizer_jax.files.example_volumes import find_examples

    return None if holds_volumes(folder) else find_examples(folder, targets=targets)


def _scans(context: "Context") -> "list[AnnotatedScan]":
    from neuralizer_jax.evaluation.evaluate_volumes import AnnotatedScan

    return [AnnotatedScan(scan.subject, scan.person, scan.read) for scan in context.examples]
