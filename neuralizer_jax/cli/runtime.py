"""`neuralizer runtime --weights FILE --out DIR`: size of models, time and memory of one prediction."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import flax.linen as nn

    from neuralizer_jax.cli.named_weights import NamedWeights
    from neuralizer_jax.report.table_formats import Table
    from neuralizer_jax.weights.parameters import Params

_EPILOG = """examples:
  neuralizer runtime --out results --weights Neuralizer-seen=runs/seen/best.safetensors \\
      Baseline-seen@32=runs/unet/best.safetensors
  neuralizer report results
Of several trainings of a U-Net with one name, that with the most subjects is measured.
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "runtime",
        help="measure size and speed of models",
        description="Counts the parameters of models and the operations of one prediction, measures its time and\n"
        "memory on this machine (run nothing else beside it), and adds them to OUT/runtime.json, for the\n"
        "report: a record a model and context size, in place of an earlier one on the same device.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--weights",
        metavar="[NAME=]FILE",
        nargs="+",
        required=True,
        help="weights, each with the model's name, as for `neuralizer evaluate`; how long the training took stands in "
        "the summary.json beside them",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder of results")
    parser.add_argument(
        "--sizes",
        metavar="N",
        type=int,
        nargs="+",
        default=[1, 2, 4, 8, 16, 32],
        help="of contexts (default: 1 2 4 8 16 32); a U-Net has none",
    )
    parser.add_argument("--size", metavar="PIXELS", type=int, default=192, help="of an image's sides (default: 192)")
    parser.add_argument(
        "--repeats", metavar="R", type=int, default=5, help="predictions, of which the median is told (default: 5)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    from neuralizer_jax.cli.named_weights import parse_all
    from neuralizer_jax.compilation_cache import use_compilation_cache
    from neuralizer_jax.evaluation.runtime import measure, read_runtime, record_runtime, training_time
    from neuralizer_jax.report.tables import runtime_table
    from neuralizer_jax.unet import UNet

    _check(options)
    use_compilation_cache()
    read_runtime(options.out)  # says what is wrong before anything is measured
    loaded = [(weights, *_load(weights, options.size)) for weights in _one_a_name(parse_all(options.weights))]
    measured = []
    for weights, model, params in loaded:
        for members in [None] if isinstance(model, UNet) else sorted(set(options.sizes)):
            record = measure(
                weights.name,
                model,
                params,
                members,
                size=options.size,
                repeats=options.repeats,
                training=training_time(weights.path),
            )
            record_runtime(options.out, [record])
            measured.append(record)
            what = weights.name if members is None else f"{weights.name}, N = {members}"
            if record["seconds"] is None:
                print(f"{what}: not enough memory for a prediction, recorded without its time")
            else:
                print(f"{what}: {record['seconds']:.3g} s", file=sys.stderr, flush=True)
    print(_as_text(runtime_table("runtime", "", measured)))


def _check(options: argparse.Namespace) -> None:
    from neuralizer_jax.errors import InputError

    for name, value in (("sizes", min(options.sizes)), ("size", options.size), ("repeats", options.repeats)):
        if value < 1:
            raise InputError(f"--{name}: {value}, expected 1 or more")


def _load(weights: "NamedWeights", size: int) -> tuple["nn.Module", "Params"]:
    """The model and its parameters. Raises InputError where they are not what their name or the size says."""
    from neuralizer_jax.errors import InputError
    from neuralizer_jax.unet import UNet
    from neuralizer_jax.weights import load_weights

    model, params = load_weights(weights.path)
    if weights.subjects is not None and not isinstance(model, UNet):
        raise InputError(f"{weights.name}: a network with a context, expected NAME=FILE, no @N")
    if size % (multiple := 2 ** (model.stages - 1)):
        raise InputError(
            f"--size: {size}, expected a multiple of {multiple} for the {model.stages} stages of {weights.path}"
        )
    return model, params


def _one_a_name(weights: list["NamedWeights"]) -> list["NamedWeights"]:
    """Of each name the training with the most subjects, of several such the first: they are one model in a table."""
    chosen: dict[str, NamedWeights] = {}
    for its in sorted(weights, key=lambda its: (-(its.subjects or 0), its.training)):
        chosen.setdefault(its.name, its)
    return [its for its in weights if chosen[its.name] is its]


def _as_text(table: "Table") -> str:
    """A table for a terminal, its caption below."""
    rows = [table.head, *([cell.text for cell in row] for part in table.parts for row in part)]
    wide = [max(len(row[place]) for row in rows) for place in range(len(table.head))]
    lines = [
        "  ".join([row[0].ljust(wide[0]), *(text.rjust(to) for text, to in zip(row[1:], wide[1:], strict=True))])
        for row in rows
    ]
    return "\n".join([*map(str.rstrip, lines), *([table.caption] if table.caption else [])])
