"""`neuralizer evaluate --config FILE --weights FILE --out DIR`: models on test subjects, scores in a table."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from input_pipeline.episode_evaluation import EvaluationCases
    from neuralizer_jax.evaluation.predictor import Predictor

_EPILOG = """examples:
  neuralizer evaluate --config experiments/neuralizer_seen.py --out results \\
      --weights Neuralizer-seen=runs/seen/best.safetensors
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
        required=True,
        help="weights, each with the model's name in the table (default: the file's). A U-Net, which has no context, "
        "is Baseline...@N=FILE for N training subjects; another training with as many is @N#1, @N#2, ...",
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
    cases.add_argument("--split", choices=("train", "val", "test"), default="test", help="(default: test)")
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
    from input_pipeline.episode_evaluation import EvaluationCases
    from neuralizer_jax.compilation_cache import use_compilation_cache
    from neuralizer_jax.evaluation.evaluate import evaluate
    from neuralizer_jax.evaluation.models_file import describe_model, record_models
    from neuralizer_jax.evaluation.scores_table import ScoresTable
    from neuralizer_jax.experiment_config import change_config, load_config

    _check(options)
    config = load_config(options.config)
    if options.data:
        config.data.datasets = tuple(options.data)
    change_config(config, options.changes)
    use_compilation_cache()
    weights = _parsed_all(options.weights)
    models = [_model(*parsed, config.data.size, options) for parsed in weights]
    cases = EvaluationCases(
        config.data,
        options.sizes,
        options.draws,
        split=options.split,
        subjects=options.subjects,
        modalities=options.modalities,
        other_modality=options.context_modality == "other",
    )
    _check_subjects([path for *_, path in weights], cases, options.split)
    left_out = f", {cases.left_out} contexts left out for want of subjects" if cases.left_out else ""
    print(f"{len(cases.cases)} cases of {len({case.task for case in cases.cases})} tasks{left_out}", flush=True)

    experiment = options.experiment or Path(options.config.partition(".py:")[0]).stem
    with ScoresTable(options.out / "scores.csv") as table:
        record_models(
            options.out,
            [
                describe_model(name, experiment, path, options.command_line, options.config)
                for name, *_, path in weights
            ],
        )
        made = evaluate(
            models, cases.cases, cases.episodes, table, experiment=experiment, examples=options.out / "examples"
        )
    print(f"{made} predictions, {table.path}\n\n{_means(table.path, experiment)}")


def _check(options: argparse.Namespace) -> None:
    from neuralizer_jax.errors import InputError

    for name, least in (("draws", 1), ("subjects", 0), ("modalities", 0), ("bootstrap", 0)):
        if getattr(options, name) < least:
            raise InputError(f"--{name} is {getattr(options, name)}, expected {least} or more")
    if min(options.sizes) < 1:
        raise InputError(f"--sizes: {min(options.sizes)}, expected 1 or more context members")
    if options.augment and not options.bootstrap:
        raise InputError("--augment needs --bootstrap, expected a number of context sets to draw")


def _parsed_all(arguments: list[str]) -> list[tuple[str, int | None, int, Path]]:
    """All weights, see `_parsed`. Raises InputError where two could not be told from each other in the table."""
    from neuralizer_jax.errors import InputError

    weights = [_parsed(argument) for argument in arguments]
    names = [names for *names, _ in weights]
    if twice := [name for place, (name, *_) in enumerate(names) if names[place] in names[:place]]:
        raise InputError(f"--weights: {twice[0]} is there twice, expected names that differ, NAME=FILE")
    return weights


def _parsed(argument: str) -> tuple[str, int | None, int, Path]:
    """Name, training subjects, training and file of `FILE`, `NAME=FILE` or `NAME@N#TRAINING=FILE`."""
    match = re.fullmatch(r"(?:(?P<name>[^=/@#]+)(?:@(?P<n>\d+)(?:#(?P<training>\d+))?)?=)?(?P<file>.+)", argument)
    if match is None:
        from neuralizer_jax.errors import InputError

        raise InputError(f"--weights {argument!r}: expected FILE, NAME=FILE or NAME@N=FILE")
    path = Path(match["file"])
    # A run's weights are all called the same.
    name = match["name"] or (path.absolute().parent.name if path.stem == "best" else path.stem)
    return name, None if match["n"] is None else int(match["n"]), int(match["training"] or 0), path


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


def _check_subjects(weights: list[Path], cases: "EvaluationCases", split: str) -> None:
    """Makes sure that who is tested was not trained on, as far as files beside the weights tell."""
    from neuralizer_jax.evaluation.training_subjects import TRAINING_SUBJECTS_FILE, check_no_test_subject

    for path in weights:
        trained = path.absolute().parent / TRAINING_SUBJECTS_FILE
        if split == "train":
            continue
        if trained.exists():
            check_no_test_subject(trained, cases.stream.subjects())
        else:
            print(f"{path}: no {TRAINING_SUBJECTS_FILE} beside it, not checked against the test subjects")


def _means(path: Path, experiment: str) -> str:
    """The means of an experiment's scores: a line a task and model, a column an n."""
    from neuralizer_jax.evaluation.scores import read_scores
    from neuralizer_jax.evaluation.statistics import CELL, main_metrics, main_scores, mean_within, subject_means

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
