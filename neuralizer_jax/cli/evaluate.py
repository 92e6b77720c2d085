"""`neuralizer evaluate --config FILE --weights FILE --out DIR`: models on test subjects, scores in a table."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from input_pipeline.episodes.evaluation import EvaluationCases
    from neuralizer_jax.cli.named_weights import NamedWeights
    from neuralizer_jax.evaluation.predictor import Predictor

_EPILOG = """examples:
  neuralizer evaluate --config experiments/neuralizer_seen.py --out results \\
      --weights Neuralizer-seen=runs/seen/best.safetensors --trivial
  neuralizer evaluate --config experiments/neuralizer_seen.py --out results \\
      --weights Baseline-seen@8=runs/unet/best.safetensors \\
      --config.data.only.tasks=denoising
Models that are compared need the same experiment file here, whatever theirs was: which
cases there are depends on it. What it holds out of training is evaluated too. Its values
are changed with --config.KEY=VALUE.
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "evaluate",
        help="score models on test subjects",
        description="Predicts for the test subjects of an experiment's datasets, with random contexts of other test\n"
        "subjects, the same for every model, and adds the scores to OUT/scores.csv: Dice and surface\n"
        "distance of masks, PSNR and SSIM of images. What is there already is not computed again.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config", metavar="FILE[:NAME=VALUE,...]", required=True, help="experiment file, with its arguments"
    )
    parser.add_argument(
        "--weights",
        metavar="[NAME=]FILE",
        nargs="+",
        default=[],
        help="weights, each with the model's name in the table (default: the file's). A U-Net, which has no context, "
        "is Baseline...@N=FILE for N training subjects; another training with as many is @N#1, @N#2, ...; FILE is the "
        "name of weights that come along, too",
    )
    parser.add_argument(
        "--trivial",
        action="store_true",
        help="score what has learned nothing as well, which a model has to beat: the input as it is, the mean output "
        "of the context, its nearest pair, a map of intensities fitted on it",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder of results")
    parser.add_argument(
        "--data", metavar="DIR", nargs="+", help="datasets, OUT/DATASET of prepare (default: the file's)"
    )
    parser.add_argument("--experiment", metavar="NAME", help="in the table (default: the experiment file's name)")
    _add_cases(parser.add_argument_group("cases"))
    accuracy = parser.add_argument_group("accuracy")
    accuracy.add_argument(
        "--bootstrap", metavar="K", type=int, default=0, help="average over K resampled context sets (default: 0, not)"
    )
    accuracy.add_argument("--augment", action="store_true", help="move resampled pairs by small random affine maps")
    parser.set_defaults(run=run, changes_config=True)


def _add_cases(cases: argparse._ArgumentGroup) -> None:
    cases.add_argument(
        "--split",
        choices=("train", "val", "test", "all"),
        default="test",
        help="of the subjects; all: every subject of datasets that no model here was trained on, which is checked "
        "(default: test)",
    )
    cases.add_argument(
        "--context-split",
        choices=("train", "val", "train+val", "test", "all"),
        help="of the members of contexts, always of other persons than the target; who of another "
        "split was trained on is not checked (default: as --split)",
    )
    cases.add_argument(
        "--context-data",
        metavar="DIR",
        nargs="+",
        default=[],
        help="datasets whose subjects are the members of contexts, as --data; who of them was trained on is not "
        "checked (default: each target's own dataset)",
    )
    cases.add_argument(
        "--sizes",
        metavar="N",
        type=int,
        nargs="+",
        default=[1, 2, 4, 8, 16, 32],
        help="of contexts (default: 1 2 4 8 16 32)",
    )
    cases.add_argument("--draws", metavar="D", type=int, default=3, help="random contexts of each subject (default: 3)")
    cases.add_argument(
        "--subjects", metavar="K", type=int, default=0, help="at most so many of a task, modality and class"
    )
    cases.add_argument(
        "--modalities", metavar="K", type=int, default=0, help="at most so many of a task, dataset and label protocol"
    )
    cases.add_argument(
        "--context-modality",
        choices=("same", "other"),
        default="same",
        help="other: no context member shows the target's modality (default: same)",
    )


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    from input_pipeline.episodes.evaluation import EvaluationCases
    from input_pipeline.store.table import SPLITS
    from neuralizer_jax.compilation_cache import use_compilation_cache
    from neuralizer_jax.evaluation.evaluate import evaluate
    from neuralizer_jax.evaluation.models_file import describe_model, record_models
    from neuralizer_jax.evaluation.score_log import ScoresTable
    from neuralizer_jax.evaluation.untrained import trivial_predictors
    from neuralizer_jax.experiment_config import change_config, load_config

    _check(options)
    config = load_config(options.config)
    if options.data:
        config.data.datasets = tuple(options.data)
    change_config(config, options.changes)
    use_compilation_cache()
    weights = _parsed(options.weights)
    models = [_model(*parsed, config.data.size, options) for parsed in weights]
    trivial = trivial_predictors() if options.trivial else []
    split, context_split = (
        "+".join(SPLITS) if name == "all" else name for name in (options.split, options.context_split or options.split)
    )
    cases = EvaluationCases(
        config.data,
        options.sizes,
        options.draws,
        split=split,
        context_split=context_split,
        context_datasets=options.context_data,
        subjects=options.subjects,
        modalities=options.modalities,
        other_modality=options.context_modality == "other",
    )
    _check_subjects([path for *_, path in weights], cases, split, context_split, options.context_data)
    left_out = f", {cases.left_out} contexts left out for want of subjects" if cases.left_out else ""
    print(f"{len(cases.cases)} cases of {len({case.task for case in cases.cases})} tasks{left_out}", flush=True)

    experiment = options.experiment or Path(options.config.partition(".py:")[0]).stem
    sources = [(name, path) for name, *_, path in weights] + [(model.name, None) for model in trivial]
    made_by = options.command_line, options.config
    with ScoresTable(options.out / "scores.csv") as table:
        record_models(options.out, [describe_model(name, experiment, path, *made_by) for name, path in sources])
        made = evaluate(
            [*models, *trivial],
            cases.cases,
            cases.episodes,
            table,
            experiment=experiment,
            examples=options.out / "examples",
            extent=config.data.extent,
        )
    print(f"{made} predictions, {table.path}\n\n{_means(table.path, experiment)}")


def _check(options: argparse.Namespace) -> None:
    from neuralizer_jax.errors import InputError

    if not options.weights and not options.trivial:
        raise InputError("neither --weights nor --trivial is given, expected at least one of them")
    for name, least in (("draws", 1), ("subjects", 0), ("modalities", 0), ("bootstrap", 0)):
        if getattr(options, name) < least:
            raise InputError(f"--{name} is {getattr(options, name)}, expected {least} or more")
    if min(options.sizes) < 1:
        raise InputError(f"--sizes: {min(options.sizes)}, expected 1 or more context members")
    if options.augment and not options.bootstrap:
        raise InputError("--augment needs --bootstrap, expected a number of context sets to draw")


def _parsed(arguments: list[str]) -> "list[NamedWeights]":
    """All weights. Raises InputError where a name could not be told from another's in the table."""
    from neuralizer_jax.cli.named_weights import parse_all
    from neuralizer_jax.errors import InputError
    from neuralizer_jax.evaluation.untrained import trivial_predictors

    weights = parse_all(arguments)
    if taken := {its.name for its in weights} & {model.name for model in trivial_predictors()}:
        raise InputError(f"--weights: {taken.pop()} is what --trivial calls a row, expected another name, NAME=FILE")
    return weights


def _model(
    name: str, subjects: int | None, training: int, path: Path, size: int, options: argparse.Namespace
) -> "Predictor":
    from neuralizer_jax.errors import InputError
    from neuralizer_jax.evaluation.predictor import network
    from neuralizer_jax.weights import load_weights

    model, params = load_weights(path)
    if model.dim != 2 or model.in_channels < 3:
        raise InputError(
            f"{path}: {model.in_channels} input channels, {model.dim}-D; expected a 2-D model with 3 channels"
        )
    if size % (multiple := 2 ** (model.stages - 1)):
        raise InputError(
            f"data.size: {size}, expected a multiple of {multiple} for the {model.stages} stages of {path}"
        )
    return network(
        name,
        model,
        params,
        subjects=subjects,
        training=training,
        bootstrap=options.bootstrap,
        augment=options.augment,
    )


def _check_subjects(
    weights: list[Path], cases: "EvaluationCases", split: str, context_split: str, context_data: list[str]
) -> None:
    """Makes sure that who is tested was not trained on, as far as files beside the weights tell.

    Members of contexts are checked too, but for those of splits and of datasets of which no one is tested.
    """
    from neuralizer_jax.evaluation.leakage import TRAINING_SUBJECTS_FILE, check_no_test_subject

    for path in weights:
        trained = path.absolute().parent / TRAINING_SUBJECTS_FILE
        if split == "train":
            continue
        if trained.exists():
            check_no_test_subject(trained, cases.targets())
        else:
            print(f"{path}: no {TRAINING_SUBJECTS_FILE} beside it, not checked against the test subjects")
    if weights and (context_data or not set(context_split.split("+")) <= set(split.split("+"))):
        of_whom = f"{context_split} of {', '.join(context_data)}" if context_data else context_split
        print(f"contexts are of split {of_whom}: a model may have been trained on their members, not checked")


def _means(path: Path, experiment: str) -> str:
    """The means of an experiment's scores: a line a task and model, a column an n."""
    from neuralizer_jax.evaluation.scores import read_scores
    from neuralizer_jax.report.statistics import CELL, main_metrics, main_scores, mean_within, subject_means

    scores = main_scores(read_scores(path).where(experiment=experiment))
    metrics = main_metrics(scores)
    means = mean_within(mean_within(subject_means(scores), "model", "task", "n", *CELL), "model", "task", "n")
    lines: dict[tuple[str, str], dict[int, float]] = {}
    for row, value in enumerate(means.value):
        model, task, n = means.at(row, "model", "task", "n")
        lines.setdefault((task, model), {})[n] = value
    sizes = sorted({n for line in lines.values() for n in line})
    wide = max(len(model) for _, model in lines)
    shown = [f"{'':<28} {'':<{wide}} {'':<8}" + "".join(f"{f'n={n}':>8}" for n in sizes)]
    for (task, model), line in sorted(lines.items()):
        unit, digits = ("Dice", 3) if metrics[task] == "dice" else ("PSNR, dB", 2)
        values = "".join(f"{line[n]:>8.{digits}f}" if n in line else f"{'':>8}" for n in sizes)
        shown.append(f"{task.replace('_', ' '):<28} {model:<{wide}} {unit:<8}{values}")
    return "\n".join(shown)
