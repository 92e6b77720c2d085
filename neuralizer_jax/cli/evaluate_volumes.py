"""`neuralizer evaluate --volumes DIR`: scores of models on whole annotated scans."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from neuralizer_jax.cli.predict import label_list

if TYPE_CHECKING:
    from neuralizer_jax.cli.named_weights import NamedWeights
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
_OF_SCANS = ("targets", "labels", "label_names", "aligned")

# Context sizes of test cases, and numbers of examples of whole scans.
SIZES, _EXAMPLES = (1, 2, 4, 8, 16, 32), (1, 8)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of whole scans."""
    scans = parser.add_argument_group("whole scans (--volumes)")
    scans.add_argument(
        "--targets",
        metavar="DIR",
        type=Path,
        help="annotated scans to segment from those of --volumes (default: each of --volumes, from the others)",
    )
    scans.add_argument(
        "--labels", metavar="LABEL", nargs="+", type=label_list, help="structures to score, as 47,48 (default: all)"
    )
    scans.add_argument(
        "--label-names",
        metavar="FILE",
        type=Path,
        help="names of the labels in the table, as of `neuralizer predict` (default: the table beside the scans)",
    )
    scans.add_argument("--aligned", action="store_true", help="all scans are in MNI152 space: do not align them")

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
    from neuralizer_jax.errors import InputError, one_line
    from neuralizer_jax.evaluation.evaluate_volumes import evaluate_volumes, volume_baselines
    from neuralizer_jax.evaluation.models_file import describe_model, record_models
    from neuralizer_jax.evaluation.score_log import ScoresTable
    from neuralizer_jax.files.context_files import identity, refuse_targets
    from neuralizer_jax.files.example_volumes import find_examples
    from neuralizer_jax.files.label_names import find_label_names, read_label_names

    start_jax()
    networks = [_network(named) for named in weights]
    baselines = volume_baselines() if options.untrained else []
    target_pairs = find_examples(options.targets) if options.targets else None
    pairs = find_examples(options.volumes, targets=target_pairs.inputs if target_pairs else ())
    examples = targets = _scans(options.volumes, pairs)
    notes = list(pairs.notes)
    if target_pairs:
        refuse_targets(pairs.inputs, {identity(path) for path in target_pairs.inputs})
        targets = _scans(options.targets, target_pairs)
        notes += target_pairs.notes
    if not options.targets and len(examples) < 2:
        raise InputError(f"{one_line(options.volumes)}: has one annotated scan, expected several (or --targets)")
    if options.label_names:
        names = read_label_names(options.label_names)
    else:
        names, more = find_label_names(options.volumes, pairs.outputs)
        notes += more
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
            labels=None if options.labels is None else {label for part in options.labels for label in part},
            names=names,
            aligned=options.aligned,
        )
    for size, structures in outcome.left_out.items():
        if structures:
            print(f"N = {size}: {structures} structures of targets left out, fewer examples are annotated for them")
    for subject, message in outcome.failures.items():
        print(f"neuralizer: error: {subject} is left out: {one_line(message)}", file=sys.stderr)
    return experiment, outcome.made, int(bool(outcome.failures))


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


def _scans(folder: Path, pairs: "ContextPairs") -> "list[AnnotatedScan]":
    """The annotated scans of a folder."""
    from neuralizer_jax.errors import InputError, one_line
    from neuralizer_jax.evaluation.evaluate_volumes import AnnotatedScan
    from neuralizer_jax.files.bids_name import name_of_file
    from neuralizer_jax.files.endings import volume_ending
    from neuralizer_jax.volumes.read_scan import read_example

    names = [one_line(path.name[: -len(volume_ending(path))]) for path in pairs.inputs]
    times = Counter(names)
    scans = []
    for image, label_map, name in zip(pairs.inputs, pairs.outputs, names, strict=True):
        if times[name] > 1:
            name = one_line(image.relative_to(folder).as_posix())
        try:
            person = name_of_file(image.relative_to(folder), image.name[: -len(volume_ending(image))]).entities["sub"]
        except InputError:  # no name of BIDS
            person = name
        scans.append(AnnotatedScan(name, person, partial(read_example, image, label_map)))
    return scans
