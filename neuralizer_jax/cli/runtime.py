"""`neuralizer runtime --weights FILE --out DIR`: size of models; time and memory of one prediction."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from neuralizer_jax.cli.evaluate_volumes import SIZES

if TYPE_CHECKING:
    from neuralizer_jax.cli.named_weights import NamedWeights

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
        default=list(SIZES),
        help="context sizes (default: 1 2 4 8 16 32); a U-Net has no context",
    )
    parser.add_argument("--size", metavar="PIXELS", type=int, default=192, help="side of an image (default: 192)")
    parser.add_argument(
        "--repeats", metavar="R", type=int, default=5, help="predictions; the median is reported (default: 5)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    from neuralizer_jax.cli.named_weights import load, parse_all
    from neuralizer_jax.cli.start_jax import start_jax
    from neuralizer_jax.errors import InputError
    from neuralizer_jax.evaluation.runtime import measure, read_runtime, record_runtime, training_time
    from neuralizer_jax.report.table_formats import plain
    from neuralizer_jax.report.tables import runtime_table
    from neuralizer_jax.unet import UNet

    for name, value in (("sizes", min(options.sizes)), ("size", options.size), ("repeats", options.repeats)):
        if value < 1:
            raise InputError(f"--{name}: {value}, expected 1 or more")
    start_jax()
    read_runtime(options.out)  # a damaged file is reported before anything is measured
    loaded = [(weights, *load(weights, options.size, "--size")) for weights in _one_a_name(parse_all(options.weights))]
    measured = []
    for weights, model, params in loaded:
        for context_size in [0] if isinstance(model, UNet) else sorted(set(options.sizes)):
            how = {"size": options.size, "repeats": options.repeats, "training": training_time(weights.path)}
            record = measure(weights.name, model, params, context_size, **how)
            record_runtime(options.out, [record])
            measured.append(record)
            what = f"{weights.name}, N = {context_size}" if context_size else weights.name
            if record["seconds"] is None:
                print(f"{what}: not enough memory for a prediction, recorded without its time")
            else:
                print(f"{what}: {record['seconds']:.3g} s", file=sys.stderr, flush=True)
    print(plain(runtime_table("runtime", "", measured)))


def _one_a_name(weights: list["NamedWeights"]) -> list["NamedWeights"]:
    """For each name the training with the most subjects, the first of several: a name is one row in the table."""
    chosen: dict[str, NamedWeights] = {}
    for its in sorted(weights, key=lambda its: (-float(its.train_subjects.replace("all", "inf") or 0), its.training)):
        chosen.setdefault(its.name, its)
    return [its for its in weights if chosen[its.name] is its]
