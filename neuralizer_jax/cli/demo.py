"""`neuralizer demo`: strips and segments a made-up head without examples of one's own; with --train, makes weights."""

import argparse
import shlex
from pathlib import Path

from neuralizer_jax.cli import episodes, predict, prepare, train
from neuralizer_jax.weights.pretrained import DEFAULT, PRETRAINED

_SUBJECTS = 28

# Options of `neuralizer predict` for each task on slices.
_TASKS = {
    "segmentation": ("--task", "segmentation", "--label-names", "{folder}/dseg.tsv"),
    "denoising": ("--bootstrap", "4", "--bootstrap-size", "8", "--augment"),
}

# Lateral ventricles, thalami, putamina, hippocampi, brain stem.
_LABELS = "4,10,12,16,17,43,49,51,53"


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "demo",
        help="strip and segment a made-up head; with --train, predict on slices of a brain template and train a model",
        description="Makes a head from the MNI152 template of nilearn, warped and lying askew. Finds the brain in it "
        "and segments deep structures, with the weights and the built-in examples of the package, and writes a page to "
        "look at. With --train: cuts coronal slices from the template, makes context pairs of two tasks (tissue "
        "segmentation; denoising and bias correction) and predicts; then prepares a small dataset of phantom heads, "
        "draws an episode of every training task, trains a small model for a few minutes, and predicts with it. After "
        "an interruption, the same command continues. No download.",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path("demo"), help="folder to write (default: demo)")
    parser.add_argument("--train", action="store_true", help="show how weights are made instead")
    parser.add_argument("--steps", metavar="N", type=int, default=400, help="training steps (default: 400)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    if options.train:
        _train(options.out, options.steps)
    else:
        _strip_and_segment(options.out)


def _strip_and_segment(out: Path) -> None:
    from neuralizer_jax.cli.demo_head import overlaps, write_demo_head

    print("Making a T1-weighted scan of a head: the phantom, warped, turned and moved")
    scan, truth = write_demo_head(out)
    mask, labels, page = out / "head_mask.nii.gz", out / "head_dseg.nii.gz", out / "page"
    given = ("--target", str(scan), "--overwrite")
    print("\nWhere is the brain? There are no examples: heads in the contrast of this scan are made")
    _run_command("predict", "--task", "skull-stripping", *given, "--out", str(mask))
    print("\nWhere are the deep structures?")
    quick = ("--labels", _LABELS, "--report", str(page))
    _run_command("predict", "--task", "segmentation", *given, "--out", str(labels), *quick)
    print("\nDice, against what the head was made from (a real head is harder):")
    for name, dice in overlaps(truth, mask, labels).items():
        print(f"  {name:<26} {dice:.2f}")
    print(f"\nLook at {page / 'index.html'}.\n\nThe commands above take any scan of a head. `neuralizer demo --train`")
    print("shows how weights are made.")


def _train(out: Path, steps: int) -> None:
    from neuralizer_jax.cli.demo_slices import write_demo_pairs

    print("Cutting slices of 192x192 from the MNI152 brain template, for context pairs of two tasks")
    pairs = write_demo_pairs(out)
    written = []
    if DEFAULT in PRETRAINED:
        print("\nPredicting with the weights in the package, which were trained on label maps without any real image")
        written += _predict_tasks(out, pairs, "pretrained")
        print(f"\nLook at {out / 'pretrained_segmentation_figure.png'} and {out / 'pretrained_denoising_figure.png'}.")
        print("\nThe rest shows how weights are made, with a toy model that trains in a few minutes.")

    print("\nA dataset of phantom heads: label maps from the MNI152 template, and images synthesised from them")
    _run_command("prepare", "phantom", "--subjects", str(_SUBJECTS), "--out", str(out / "data"))
    written += [_draw_phantoms(out / "data/phantom", out / "phantom.png"), out / "data/phantom/quality/index.html"]

    print("\nA training episode of every task, from the phantom dataset")
    _run_command("episodes", "--data", str(out / "data/phantom"), "--tasks-only", "--out", str(out))
    written.append(out / "tasks.png")

    print("\nTraining a small model on small images (64x64)")
    changes = {
        "train.steps": steps,
        "train.warmup_steps": min(50, steps // 8),
        "validation.every": max(1, steps // 4),
    }
    _run_command(
        *("train", "--config", "smoke", "--workdir", str(out / "run"), "--data", str(out / "data/phantom")),
        *(f"--config.{key}={value}" for key, value in changes.items()),
    )
    print(f"\nValidation on held-out phantoms:\n{_validation_table(out / 'run/metrics.csv')}")
    written += [out / "run" / name for name in ("best.safetensors", "curves.png", "metrics.csv", "summary.json")]
    written.append(max((out / "run/pictures").iterdir()))

    print("\nPredicting with this toy on the same slices of the template")
    written += _predict_tasks(out, pairs, "toy", "--weights", str(out / "run/best.safetensors"))
    if DEFAULT in PRETRAINED:
        print("\nThe pictures pretrained_* are from the weights in the package, toy_* from the weights trained here.")
    print(
        "\nA toy trained for a few minutes shows that every step works, and that the model begins to do what the "
        "context pairs show.\n\nWritten:"
    )
    print("\n".join(f"  {path}" for path in written))


def _predict_tasks(out: Path, pairs: dict[str, Path], model: str, *weights: str) -> list[Path]:
    """Predicts the task of each folder in `pairs`; returns the pictures, which are named after the model."""
    for task, options in _TASKS.items():
        files = {
            "--target": pairs[task] / "target_in.png",
            "--context": pairs[task],
            "--out": out / f"{model}_{task}_prediction.png",
            "--figure": out / f"{model}_{task}_figure.png",
        }
        options = tuple(option.format(folder=pairs[task]) for option in options)
        _run_command("predict", *weights, *(str(part) for option in files.items() for part in option), *options)
    return sorted(out.glob(f"{model}_*.png"))


def _validation_table(metrics: Path) -> str:
    """Returns the last scores as text, with a row for each task and a column for each context size."""
    from neuralizer_jax.training.metrics_log import read_metrics

    scores: dict[tuple[str, str], dict[str, float]] = {}
    for name, (_, values) in read_metrics(metrics).items():
        if "/N=" in name:
            _, metric, task, members = name.split("/")
            scores.setdefault((task, metric), {})[members] = values[-1]
    sizes = sorted({size for row in scores.values() for size in row}, key=lambda size: int(size.removeprefix("N=")))
    lines = [f"  {'':<27} {'':<8}" + "".join(f"{size:>8}" for size in sizes)]
    for (task, metric), row in scores.items():
        unit, digits = ("Dice", 2) if metric == "dice" else ("PSNR, dB", 1)
        shown = "".join(f"{row[size]:>8.{digits}f}" for size in sizes)
        lines.append(f"  {task.replace('_', ' '):<27} {unit:<8}{shown}")
    return "\n".join(lines)


def _run_command(*command: str) -> None:
    """Prints a command of `neuralizer` and runs it."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    for module in (prepare, episodes, train, predict):
        module.add_parser(commands)
    options, changes = parser.parse_known_args(command)
    options.changes = changes
    options.command_line = shlex.join(["neuralizer", *command])
    print(f"\n$ {options.command_line}")
    options.run(options)


def _draw_phantoms(folder: Path, path: Path) -> Path:
    """Draws labels and modalities of the first full heads and skull-stripped brains."""
    from input_pipeline.prepare.contact_sheet import draw_contact_sheet
    from input_pipeline.store.records import SliceStore

    store = SliceStore(folder)
    full, stripped = ([e["subject"] for e in store.index if e["skull_stripped"] is kind] for kind in (False, True))
    subjects = [*full[:3], *stripped[:2]]
    shown = ("T1", "T2", "PD", "MRA", "FLAIR", "ADC", "DWI", "DTI-00")
    records = [store.read(subject) for subject in subjects]
    rows = [[record.labels[0, 0], *(record.image(modality) for modality in shown)] for record in records]
    return draw_contact_sheet(path, rows, row_titles=subjects, column_titles=("labels", *shown))
