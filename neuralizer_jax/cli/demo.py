"""`neuralizer demo`: prediction, data and training end to end, on a real brain template, with nothing to download."""

import argparse
import shlex
from pathlib import Path

from neuralizer_jax.cli import episodes, predict, prepare, train
from neuralizer_jax.weights.pretrained import DEFAULT, PRETRAINED

_SUBJECTS = 28

# Options of the prediction for each of the demo's tasks.
_TASKS = {
    "segmentation": ("--task", "segmentation"),
    "denoising": ("--bootstrap", "4", "--bootstrap-size", "8", "--augment"),
}


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "demo",
        help="predict on a brain template; make a phantom dataset, train a small model on it, and predict",
        description="Cuts coronal slices out of the MNI152 T1 template that nilearn ships, makes example pairs of two "
        "tasks (tissue segmentation; denoising and bias correction) and, where weights come with the package, predicts "
        "with them. Then shows how weights are made: prepares a small dataset of phantom heads, draws an episode of "
        "every training task, trains a small model for a few minutes, and predicts with that. No download. "
        "Interrupted, the same command goes on where it was.",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path("demo"), help="folder to write (default: demo)")
    parser.add_argument("--steps", metavar="N", type=int, default=400, help="of training (default: 400)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    from neuralizer_jax.cli.demo_slices import write_demo_pairs

    out: Path = options.out
    print("Slices of the MNI152 brain template, 192x192: cutting them, and making example pairs of two tasks")
    pairs = write_demo_pairs(out)
    written = []
    if DEFAULT in PRETRAINED:
        print("\nThe model with the weights that come along, trained on label maps alone: it has seen no real image")
        written += _predict_tasks(out, pairs, "pretrained")
        print(f"\nLook at {out / 'pretrained_segmentation_figure.png'} and {out / 'pretrained_denoising_figure.png'}.")
        print("\nWhat follows is how weights are made, all of it in a few minutes, and so of a toy.")

    print("\nA dataset of phantom heads: label maps made of the MNI152 brain template, images synthesised from them")
    _run_command("prepare", "phantom", "--subjects", str(_SUBJECTS), "--out", str(out / "data"))
    written += [_draw_phantoms(out / "data/phantom", out / "phantom.png"), out / "data/phantom/quality/index.html"]

    print("\nTraining episodes of the phantom dataset: every task, shown by examples")
    _run_command("episodes", "--data", str(out / "data/phantom"), "--tasks-only", "--out", str(out))
    written.append(out / "tasks.png")

    print("\nA small model, trained on small images (64x64)")
    changes = {
        "train.steps": options.steps,
        "train.warmup_steps": min(50, options.steps // 8),
        "validation.every": max(1, options.steps // 4),
    }
    _run_command(
        *("train", "--config", "smoke", "--workdir", str(out / "run"), "--data", str(out / "data/phantom")),
        *(f"--config.{key}={value}" for key, value in changes.items()),
    )
    print(f"\nValidation, on phantoms that it was not trained on:\n{_validation_table(out / 'run/metrics.csv')}")
    written += [out / "run" / name for name in ("best.safetensors", "curves.png", "metrics.csv", "summary.json")]
    written.append(max((out / "run/pictures").iterdir()))

    print("\nThis toy on the same slices of the template")
    written += _predict_tasks(out, pairs, "toy", "--weights", str(out / "run/best.safetensors"))
    if DEFAULT in PRETRAINED:
        print("\nThe pictures pretrained_* are by the weights that come along, toy_* by those that were trained here.")
    print(
        "\nA few minutes on a few phantoms make a toy: its pictures show that everything works, from files to files, "
        "and that the model has begun to do what the examples show.\n\nWritten:"
    )
    print("\n".join(f"  {path}" for path in written))


def _predict_tasks(out: Path, pairs: dict[str, Path], model: str, *weights: str) -> list[Path]:
    """Predicts the tasks whose examples lie in `pairs`; returns the pictures, which are named after the model."""
    for task, options in _TASKS.items():
        files = {
            "--target": pairs[task] / "target_in.png",
            "--context": pairs[task],
            "--out": out / f"{model}_{task}_prediction.png",
            "--figure": out / f"{model}_{task}_figure.png",
        }
        _run_command("predict", *weights, *(str(part) for option in files.items() for part in option), *options)
    return sorted(out.glob(f"{model}_*.png"))


def _validation_table(metrics: Path) -> str:
    """The last scores of each task, a column a context size."""
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
    """Shows a command of `neuralizer` and runs it."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    for module in (prepare, episodes, train, predict):
        module.add_parser(commands)
    options, options.changes = parser.parse_known_args(command)
    options.command_line = shlex.join(["neuralizer", *command])
    print(f"\n$ {options.command_line}")
    options.run(options)


def _draw_phantoms(folder: Path, path: Path) -> Path:
    """A picture of the first subjects of each kind: labels, and every modality."""
    from input_pipeline.prepare.contact_sheet import draw_contact_sheet
    from input_pipeline.store.records import SliceStore

    store = SliceStore(folder)
    full, stripped = ([e["subject"] for e in store.index if e["skull_stripped"] is kind] for kind in (False, True))
    subjects = [*full[:3], *stripped[:2]]
    shown = ("T1", "T2", "PD", "MRA", "FLAIR", "ADC", "DWI", "DTI-00")
    records = [store.read(subject) for subject in subjects]
    rows = [[record.labels[0, 0], *(record.image(modality) for modality in shown)] for record in records]
    return draw_contact_sheet(path, rows, row_titles=subjects, column_titles=("labels", *shown))
