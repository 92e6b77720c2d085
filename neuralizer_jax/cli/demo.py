"""`neuralizer demo`: data and model end to end, made of a real brain template, with nothing to download."""

import argparse
import shlex
from pathlib import Path

from neuralizer_jax.cli import episodes, predict, prepare

_SUBJECTS = 8


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "demo",
        help="make a phantom dataset, and run the model on slices of a brain template",
        description="Prepares a small dataset of phantom heads and draws an episode of every training task. Then cuts "
        "coronal slices out of the MNI152 T1 template that nilearn ships, makes example pairs of two tasks (tissue "
        "segmentation; denoising and bias correction) and predicts. No download.",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path("demo"), help="folder to write (default: demo)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    import jax

    from neuralizer_jax.compilation_cache import use_compilation_cache
    from neuralizer_jax.demo_slices import write_demo_pairs
    from neuralizer_jax.model import Neuralizer
    from neuralizer_jax.weights import init_params, save_weights

    out: Path = options.out
    print("A dataset of phantom heads: label maps made of the MNI152 brain template, images synthesised from them")
    _run_command("prepare", "phantom", "--subjects", str(_SUBJECTS), "--out", str(out / "data"))
    written = [_draw_phantoms(out / "data/phantom", out / "phantom.png"), out / "data/phantom/quality/index.html"]

    print("\nTraining episodes of the phantom dataset: every task, shown by examples")
    _run_command("episodes", "--data", str(out / "data/phantom"), "--tasks-only", "--out", str(out))
    written.append(out / "tasks.png")

    use_compilation_cache()
    print("\nThe model on slices of the template: cutting them and making example pairs")
    tasks = write_demo_pairs(out)
    model = Neuralizer()
    weights = out / "untrained.safetensors"
    save_weights(weights, model, init_params(model, jax.random.key(0)))
    written.append(weights)
    for task, more in (
        ("segmentation", ["--task", "segmentation"]),
        ("denoising", ["--bootstrap", "4", "--bootstrap-size", "8", "--augment"]),
    ):
        folder = tasks[task]
        files = {
            "--weights": weights,
            "--target": folder / "target_in.png",
            "--context": folder,
            "--out": out / f"{task}_prediction.png",
            "--figure": out / f"{task}_figure.png",
        }
        _run_command("predict", *(str(part) for option in files.items() for part in option), *more)
        written += sorted(out.glob(f"{task}_*.png"))
    print(
        "\nThese weights are UNTRAINED, freshly initialised: the pictures show what the model is given and that "
        "everything runs, from files to files. The predictions mean nothing yet.\n\nWritten:"
    )
    print("\n".join(f"  {path}" for path in written))


def _run_command(*command: str) -> None:
    """Shows a command of `neuralizer` and runs it."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    for module in (prepare, episodes, predict):
        module.add_parser(commands)
    options = parser.parse_args(command)
    options.changes = []
    options.command_line = shlex.join(["neuralizer", *command])
    print(f"\n$ {options.command_line}")
    options.run(options)


def _draw_phantoms(folder: Path, path: Path) -> Path:
    """A picture of the first subjects of each kind: labels, and every modality."""
    from input_pipeline.contact_sheet import draw_contact_sheet
    from input_pipeline.slice_store import SliceStore

    store = SliceStore(folder)
    full, stripped = ([e["subject"] for e in store.index if e["skull_stripped"] is kind] for kind in (False, True))
    subjects = [*full[:3], *stripped[:2]]
    shown = ("T1", "T2", "PD", "MRA", "FLAIR", "ADC", "DWI", "DTI-00")
    records = [store.read(subject) for subject in subjects]
    rows = [[record.labels[0, 0], *(record.image(modality) for modality in shown)] for record in records]
    return draw_contact_sheet(path, rows, row_titles=subjects, column_titles=("labels", *shown))
