"""`neuralizer runtime --weights FILE --out DIR`: size of models; time and memory of one prediction."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import flax.linen as nn

    from neuralizer_jax.cli.named_weights import NamedWeights
    from neuralizer_jax.weights.parameters import Params

_EPILOG = """examples:
  neuralizer runtime --out results --weights Neuralizer-seen=runs/seen/best.safetensors \\
      Baseline-seen@32=runs/unet/best.safetensors
  neuralizer report results
Of a U-Net's trainings with the same name, the one with the most subjects is measured.
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "runtime",
        help="measure size and speed of models",
        description="Counts the parameters of models and the operations of one prediction, measures its time and\n"
        "memory on this machine (run nothing else beside it), and adds them to OUT/runtime.json, for\n"
        "the report: one record for each model and context size, which replaces an earlier one of the\n"
        "same device.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--weights",
        metavar="[NAME=]FILE",
        nargs="+",
        required=True,
        help="weights, each with the model's name, as for `neuralizer evaluate`; the training time is read from the "
        "summary.json beside them",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder of results")
    parser.add_argument(
        "--sizes",
        metavar="N",
        type=int,
        nargs="+",
        default=[1, 2, 4, 8, 16, 32],
        help="context sizes (default: 1 2 4 8 16 32); a U-Net has no context",
    )
    parser.add_argument("--size", metavar="PIXELS", type=int, default=192, help="side of an image (default: 192)")
    parser.add_argument(
        "--repeats", metavar="R", type=int, default=5, help="predictions; the median is reported (default: 5)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    from neuralizer_jax.cli.named_weights import parse_all
    from neuralizer_jax.compilation_cache import use_compilation_cache
    from neuralizer_jax.evaluation.runtime import measure, read_runtime, record_runtime, training_time
    from neuralizer_jax.report.table_formats import plain
    from neuralizer_jax.report.tables import runtime_table
    from neuralizer_jax.unet import UNet

    _check(options)
    use_compilation_cache()
    read_runtime(options.out)  # a damaged file is reported before anything is measured
    loaded = [(weights, *_load(weights, options.size)) for weights in _one_a_name(parse_all(options.weights))]
    measured = []
    for weights, model, params in loaded:
        for context_size in [0] if isinstance(model, UNet) else sorted(set(options.sizes)):
            record = measure(
                weights.name,
                model,
                params,
                context_size,
                size=options.size,
                repeats=options.repeats,
                training=training_time(weights.path),
            )
            record_runtime(options.out, [record])
            measured.append(record)
            what = f"{weights.name}, N = {context_size}" if context_size else weights.name
            if record["seconds"] is None:
                print(f"{what}: not enough memory for a prediction, recorded without its time")
            else:
                print(f"{what}: {record['seconds']:.3g} s", file=sys.stderr, flush=True)
    print(plain(runtime_table("runtime", "", measured)))


def _check(options: argparse.Namespace) -> None:
    from neuralizer_jax.errors import InputError

    for name, value in (("sizes", min(options.sizes)), ("size", options.size), ("repeats", options.repeats)):
        if value < 1:
            raise InputError(f"--{name}: {value}, expected 1 or more")


def _load(weights: "NamedWeights", size: int) -> tuple["nn.Module", "Params"]:
    """The model and its parameters. Raises InputError if they do not fit their name or the size."""
    from neuralizer_jax.errors import InputError
    from neuralizer_jax.unet import UNet
    from neuralizer_jax.weights import load_weights

    model, params = load_weights(weights.path)
    if weights.train_subjects and not isinstance(model, UNet):
        raise InputError(
            f"{weights.name}: a network with a context, expected NAME=FILE without @{weights.train_subjects}"
        )
    if size % (multiple := 2 ** (model.stages - 1)):
        raise InputError(
            f"--size: {size}, expected a multiple of {multiple} for the {model.stages} stages of {weights.path}"
        )
    return model, params


def _one_a_name(weights: list["NamedWeights"]) -> list["NamedWeights"]:
    """For each name the training with the most subjects, the first of several: a name is one row in the table."""
    chosen: dict[str, NamedWeights] = {}
    for its in sorted(weights, key=lambda its: (-float(its.train_subjects.replace("all", "inf") or 0), its.training)):
        chosen.setdefault(its.name, its)
    return [its for its in weights if chosen[its.name] is its]
