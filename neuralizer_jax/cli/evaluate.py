"""`neuralizer evaluate --config FILE --weights FILE --out DIR`: scores of models on test subjects, in a table.

With `--volumes DIR` in place of `--config` these are whole scans, see `evaluate_volumes.py`.
"""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from neuralizer_jax.cli.evaluate_volumes import add_options, check_options, evaluate_scans

if TYPE_CHECKING:
    from input_pipeline.episodes.evaluation import EvaluationCases
    from neuralizer_jax.cli.named_weights import NamedWeights
    from neuralizer_jax.evaluation.predictor import Predictor

_EPILOG = """examples:
  neuralizer evaluate --config experiments/neuralizer_seen.py --out results \\
      --weights Neuralizer-seen=runs/seen/best.safetensors --untrained
  neuralizer evaluate --config experiments/neuralizer_seen.py --out results \\
      --weights Baseline-seen@8=runs/unet/best.safetensors \\
      --config.data.only.tasks=denoising
  neuralizer evaluate --volumes annotated/ --weights small --untrained --out results
To compare models, give the same experiment file for all, whatever they were trained with: it
determines the cases. Tasks and modalities that it holds out of training are evaluated too.
Change its values with --config.KEY=VALUE.

Whole scans: whether a model was trained on them is not checked. Exit status 1: some scans could not
be used; the others are scored.
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "evaluate",
        help="score models on test subjects",
        description="Predicts for the test subjects of an experiment's datasets, with random contexts of other test\n"
        "subjects that are the same for every model, and adds the scores to OUT/scores.csv: Dice and\n"
        "surface distance of masks, PSNR and SSIM of images. Scores in the table are not computed again.\n\n"
        "With --volumes, segments whole annotated scans as `neuralizer predict` does, each from the N of\n"
        "the others that resemble it most: Dice, surface distance and volume error of each structure.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--config", metavar="FILE[:NAME=VALUE,...]", help="experiment file, with its arguments")
    what.add_argument("--volumes", metavar="DIR", type=Path, help="folder of whole annotated scans")
    parser.add_argument(
        "--weights",
        metavar="[NAME=]FILE",
        nargs="+",
        default=[],
        help="weights, each with the model's name in the table (default: the file's). For a U-Net, which has no "
        "context, NAME@N=FILE gives its number of training subjects, or `all`; name more trainings with as many "
        "NAME@N#1, NAME@N#2, ... FILE may be the name of weights that come with the package, or hf://OWNER/NAME",
    )
    parser.add_argument(
        "--untrained",
        action="store_true",
        help="score untrained baselines too, which a model has to beat: the input as it is, the mean context output, "
        "the nearest context pair, and an intensity map fitted to the context; of whole scans the votes of the "
        "examples' labels, aligned affinely and deformed",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder of results")
    parser.add_argument("--data", metavar="DIR", nargs="+", help="folders of prepared datasets (default: the file's)")
    parser.add_argument("--experiment", metavar="NAME", help="name in the table (default: the experiment file's)")
    parser.add_argument(
        "--sizes",
        metavar="N",
        type=int,
        nargs="+",
        help="context sizes (default: 1 2 4 8 16 32, of whole scans 1 8); a U-Net has no context",
    )
    parser.add_argument(
        "--subjects", metavar="K", type=int, default=0, help="targets for each task, modality and class, at most"
    )
    _add_cases(parser.add_argument_group("cases (--config)"))
    accuracy = parser.add_argument_group("accuracy (--config)")
    accuracy.add_argument(
        "--bootstrap", metavar="K", type=int, default=0, help="average over K resampled context sets (default: 0, off)"
    )
    accuracy.add_argument(
        "--augment", action="store_true", help="transform resampled pairs by small random affine maps"
    )
    add_options(parser)
    parser.set_defaults(run=run, changes_config=True)


def _add_cases(cases: argparse._ArgumentGroup) -> None:
    cases.add_argument(
        "--split",
        choices=("train", "val", "test", "all"),
        default="test",
        help="split of the targets; all: every subject of datasets that none of the models was trained on, which is "
        "checked (default: test)",
    )
    cases.add_argument(
        "--context-split",
        choices=("train", "val", "train+val", "test", "all"),
        help="split of the context members, who are always other persons than the target; whether somebody of another "
        "split was trained on is not checked (default: as --split)",
    )
    cases.add_argument(
        "--context-data",
        metavar="DIR",
        nargs="+",
        default=[],
        help="datasets of the context members, as --data; whether they were trained on is not checked (default: each "
        "target's own dataset)",
    )
    cases.add_argument("--draws", metavar="D", type=int, default=3, help="random contexts for each target (default: 3)")
    cases.add_argument(
        "--modalities", metavar="K", type=int, default=0, help="modalities for each task, dataset and protocol, at most"
    )
    cases.add_argument(
        "--planes",
        metavar="PLANE:MM",
        nargs="+",
        default=[],
        help="slices to show, as coronal:-17 sagittal:24 axial:10, mm in MNI152; sagittal and axial ones need "
        "datasets of volumes (default: the coronal slice at or nearest to -17 mm)",
    )
    cases.add_argument(
        "--context-modality",
        choices=("same", "other"),
        default="same",
        help="other: no context member shows the target's modality (default: same)",
    )


def run(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit status."""
    _check(options)
    weights = _parsed(options.weights)
    if options.volumes:
        experiment, made, status = evaluate_scans(options, weights)
    else:
        experiment, made = _evaluate_cases(options, weights)
        status = 0
    path = options.out / "scores.csv"
    print(f"{made} predictions, {path}\n\n{_means(path, experiment)}")
    return status


def _evaluate_cases(options: argparse.Namespace, weights: "list[NamedWeights]") -> tuple[str, int]:
    """Evaluates test cases of datasets; returns the experiment's name in the table and the number of predictions."""
    from input_pipeline.episodes.evaluation import EvaluationCases
    from input_pipeline.slices.record import SPLITS
    from neuralizer_jax.cli.start_jax import start_jax
    from neuralizer_jax.evaluation.evaluate import evaluate
    from neuralizer_jax.evaluation.models_file import describe_model, record_models
    from neuralizer_jax.evaluation.score_log import ScoresTable
    from neuralizer_jax.evaluation.untrained import untrained_baselines
    from neuralizer_jax.experiment_config import change_config, load_config

    config = load_config(options.config)
    if options.data:
        config.data.datasets = tuple(options.data)
    change_config(config, options.changes)
    start_jax()
    models = [_model(named, config.data.size, options) for named in weights]
    untrained = untrained_baselines() if options.untrained else []
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
        planes=_planes(options.planes),
    )
    _check_subjects([named.path for named in weights], cases, split, context_split, options.context_data)
    left_out = f", {cases.left_out} contexts left out for lack of subjects" if cases.left_out else ""
    print(f"{len(cases.cases)} cases of {len({case.task for case in cases.cases})} tasks{left_out}", flush=True)

    experiment = options.experiment or Path(options.config.partition(".py:")[0]).stem
    sources = [named.path for named in weights] + [None] * len(untrained)
    described = [
        describe_model(model.columns, experiment, path, options.command_line, options.config)
        for model, path in zip([*models, *untrained], sources, strict=True)
    ]
    with ScoresTable(options.out / "scores.csv") as table:
        record_models(options.out, described)
        made = evaluate(
            [*models, *untrained],
            cases.cases,
            cases.episodes,
            table,
            experiment=experiment,
            examples=options.out / "examples",
            extent=config.data.extent,
        )
    return experiment, made


def _check(options: argparse.Namespace) -> None:
    from neuralizer_jax.errors import InputError

    check_options(options)
    if not options.weights and not options.untrained:
        raise InputError("neither --weights nor --untrained is given, expected at least one of them")
    for name, least in (("draws", 1), ("subjects", 0), ("modalities", 0), ("bootstrap", 0)):
        if getattr(options, name) < least:
            raise InputError(f"--{name} is {getattr(options, name)}, expected {least} or more")
    if min(options.sizes) < 1:
        raise InputError(f"--sizes: {min(options.sizes)}, expected 1 or more context members")
    if options.augment and not options.bootstrap:
        raise InputError("--augment needs --bootstrap, expected a number of context sets to draw")


def _planes(arguments: list[str]) -> list[tuple[str, int]]:
    """Planes and positions, each once. Raises InputError for anything but `PLANE:MM`."""
    from input_pipeline.store.table import PLANE_NAMES
    from neuralizer_jax.errors import InputError

    found = []
    for argument in arguments:
        plane, _, position = argument.partition(":")
        if plane not in PLANE_NAMES or not re.fullmatch(r"[+-]?\d{1,4}", position):
            raise InputError(f"--planes {argument}: expected PLANE:MM, PLANE one of {', '.join(PLANE_NAMES)}")
        found.append((plane, int(position)))
    return list(dict.fromkeys(found))


def _parsed(arguments: list[str]) -> "list[NamedWeights]":
    """All weights. Raises InputError if two models would have the same name in the table."""
    from neuralizer_jax.cli.named_weights import parse_all
    from neuralizer_jax.errors import InputError
    from neuralizer_jax.evaluation.evaluate_volumes import volume_baselines
    from neuralizer_jax.evaluation.untrained import untrained_baselines

    weights = parse_all(arguments)
    untrained = {model.name for model in untrained_baselines()} | {model.name for model in volume_baselines()}
    if taken := {its.name for its in weights} & untrained:
        raise InputError(f"--weights: {taken.pop()} is a name of --untrained, expected another name, NAME=FILE")
    return weights


def _model(named: "NamedWeights", size: int, options: argparse.Namespace) -> "Predictor":
    from neuralizer_jax.cli.named_weights import load
    from neuralizer_jax.errors import InputError
    from neuralizer_jax.evaluation.predictor import network

    model, params = load(named, size, "data.size")
    if model.dim != 2 or model.in_channels < 3:
        raise InputError(
            f"{named.path}: {model.in_channels} input channels, {model.dim}-D; expected a 2-D model with 3 channels"
        )
    accuracy = {"bootstrap": options.bootstrap, "augment": options.augment}
    return network(named.name, model, params, named.train_subjects, named.training, **accuracy)


def _check_subjects(
    weights: list[Path], cases: "EvaluationCases", split: str, context_split: str, context_data: list[str]
) -> None:
    """Checks that no target was trained on, as far as files beside the weights tell.

    Context members are checked too if they come from the targets' splits and datasets.
    """
    from neuralizer_jax.evaluation.leakage import TRAINING_SUBJECTS_FILE, check_no_test_subject

    for path in weights if split != "train" else ():
        trained = path.absolute().parent / TRAINING_SUBJECTS_FILE
        if trained.exists():
            check_no_test_subject(trained, cases.targets())
        else:
            print(f"{path}: no {TRAINING_SUBJECTS_FILE} beside it, not checked against the test subjects")
    if weights and (context_data or not set(context_split.split("+")) <= set(split.split("+"))):
        of_whom = f"{context_split} of {', '.join(context_data)}" if context_data else context_split
        print(f"contexts are of split {of_whom}: a model may have been trained on their members, not checked")


def _means(path: Path, experiment: str) -> str:
    """The means of an experiment's scores: a row for each task and model, a column for each context size."""
    from neuralizer_jax.evaluation.scores import read_scores
    from neuralizer_jax.report.shown_names import METRICS, shown_size
    from neuralizer_jax.report.statistics import cell_means, main_metrics, main_scores

    scores = read_scores(path)
    scores = main_scores(scores[scores["experiment"] == experiment])
    if scores.empty:
        return f"no scores of {experiment}"
    metrics = main_metrics(scores)
    means = cell_means(scores, "task", "model", "size")
    means["shown"] = [
        f"{value:.{3 if metrics[task] == 'dice' else 2}f}"
        for task, value in zip(means["task"], means["value"], strict=True)
    ]
    means["metric"] = means["task"].map(metrics).map(METRICS)
    means["task"] = means["task"].str.replace("_", " ")
    table = means.pivot(index=["task", "model", "metric"], columns="size", values="shown").fillna("")
    table.columns = [f"N={shown_size(float(size))}" for size in table.columns]
    return table.reset_index().to_string(index=False)
