"""`neuralizer demo`: the model end to end on slices of a real brain template, with nothing to download."""

import argparse
import shlex
from pathlib import Path

from neuralizer_jax.cli import predict


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "demo",
        help="run the model on slices of a brain template",
        description="Cuts coronal slices out of the MNI152 T1 template that nilearn ships, makes example pairs of two "
        "tasks (tissue segmentation; denoising and bias correction) and predicts. No download.",
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

    use_compilation_cache()
    out: Path = options.out
    print("Cutting slices of the MNI152 brain template and making example pairs")
    tasks = write_demo_pairs(out)
    model = Neuralizer()
    weights = out / "untrained.safetensors"
    save_weights(weights, model, init_params(model, jax.random.key(0)))
    written = [weights]
    parser = argparse.ArgumentParser()
    predict.add_parser(parser.add_subparsers())
    for task, more in (
        ("segmentation", ["--task", "segmentation"]),
        ("denoising", ["--bootstrap", "4", "--bootstrap-size", "8", "--augment"]),
    ):
        folder = tasks[task]
        command = ["predict", "--weights", weights, "--target", folder / "target_in.png", "--context", folder]
        command += ["--out", out / f"{task}_prediction.png"]
        command += ["--figure", out / f"{task}_figure.png", *more]
        command = [str(argument) for argument in command]
        print(f"\n$ neuralizer {shlex.join(command)}")
        predict_options = parser.parse_args(command)
        predict_options.run(predict_options)
        written += sorted(out.glob(f"{task}_*.png"))
    print(
        "\nThese weights are UNTRAINED, freshly initialised: the pictures show what the model is given and that "
        "everything runs, from files to files. The predictions mean nothing yet.\n\nWritten:"
    )
    print("\n".join(f"  {path}" for path in written))
