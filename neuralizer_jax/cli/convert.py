"""`neuralizer convert SRC DST`: a PyTorch or training checkpoint in, a release file out."""

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "convert",
        help="turn a PyTorch or training checkpoint into a release file (.safetensors)",
        description="Reads a PyTorch or Lightning checkpoint (.ckpt, .pt, .pth; without torch and without running "
        "anything in it), an Orbax training checkpoint (a folder), a release file, the weights that come with the "
        "package (small) or weights on the hub (hf://OWNER/NAME), and writes a release file. Its tensors have the "
        "published PyTorch names and layouts.",
    )
    parser.add_argument("source", metavar="SRC", help="weights to read")
    parser.add_argument("destination", metavar="DST", type=Path, help="file to write, ending in .safetensors")
    parser.add_argument("--half", action="store_true", help="round to 16-bit numbers, which halves the file")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    import jax

    from neuralizer_jax.weights import read_weights, save_weights

    weights = read_weights(options.source)
    save_weights(options.destination, weights.model, weights.params, half=options.half)
    count = sum(leaf.size for leaf in jax.tree.leaves(weights.params))
    model = weights.model
    print(
        f"{options.destination}: {type(model).__name__}, {model.dim}-D, {model.stages} stages of {model.features} "
        f"features, {count:,} parameters{' of 16 bits' if options.half else ''}"
    )
    if weights.ignored:
        print(f"ignored, not part of the model: {', '.join(weights.ignored)}")
