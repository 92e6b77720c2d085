"""`neuralizer card --weights FILE --scores TITLE=DIR --training DIR --out CARD.md`: the card of a weights file."""

import argparse
from pathlib import Path

from neuralizer_jax.weights.pretrained import weights_path


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "card",
        help="write the model card of a weights file",
        description="Writes a card in Markdown: hash and network of the weights, the trainings that made them (stages, "
        "settings, data, time, hardware, versions, curves), and their scores beside untrained baselines, with the "
        "commands. Beside it a figure says what to expect of each task at each number of example pairs. All numbers "
        "come from the files that train and evaluate wrote; scores of other weights are refused.",
        epilog="A template adds text: a Jinja2 file that begins with {%% extends 'card.md.j2' %%} and fills the blocks "
        "title, licence, purpose, data, training, scores_text and limits.",
    )
    parser.add_argument("--weights", metavar="FILE", required=True, help="weights file, its name, or hf://OWNER/NAME")
    parser.add_argument(
        "--scores", metavar="TITLE=DIR", nargs="+", default=[], help="folders of neuralizer evaluate, with headings"
    )
    parser.add_argument(
        "--training",
        metavar="DIR",
        type=Path,
        help="folder of the training; those that it started from (train.init_from) are found by themselves",
    )
    parser.add_argument("--template", metavar="FILE", type=Path, help="text around the numbers")
    parser.add_argument("--out", metavar="CARD.md", type=Path, required=True, help="file to write")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    from flax.traverse_util import flatten_dict

    from neuralizer_jax.cli.report import class_names
    from neuralizer_jax.errors import InputError
    from neuralizer_jax.experiment_config import load_config
    from neuralizer_jax.report.card import write_card
    from neuralizer_jax.report.trainings import with_those_before

    scores = {}
    for argument in options.scores:
        title, _, folder = argument.rpartition("=")
        if not title or title in scores:
            raise InputError(f"--scores {argument}: expected TITLE=DIR, each title once")
        scores[title] = Path(folder)
    if options.out.suffix != ".md":
        raise InputError(f"--out {options.out}: expected a name that ends in .md")
    trainings = with_those_before(options.training) if options.training else []
    curves = draw_curves(trainings, options.out.with_name(f"{options.out.stem}_curves.png"))
    written = write_card(
        options.out,
        weights_facts(weights_path(options.weights)),
        scores,
        trainings,
        template=options.template,
        defaults=flatten_dict(load_config("base").to_dict(), sep="."),
        class_names=class_names(),
        curves=curves.name if curves else "",
    )
    print("\n".join(map(str, written)))


def weights_facts(path: Path) -> dict[str, object]:
    """What the card says of the weights file itself."""
    import hashlib

    import jax

    from neuralizer_jax.weights import read_weights
    from neuralizer_jax.weights.architecture import describe

    weights = read_weights(path)
    described = describe(weights.model)
    kind = type(weights.model).__name__
    shown = ", ".join(f"{key}={described[key]}" for key in ("features", "stages", "in_channels", "dim"))
    content = path.read_bytes()
    return {
        "name": path.stem,
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(weights.params)),
        "network": f"{kind}({shown})",
    }


def draw_curves(trainings: list[Path], path: Path) -> Path | None:
    """Draws the curves of all trainings one after another to a PNG file. Returns it; None if they have none."""
    import numpy as np

    from neuralizer_jax.files.atomic_file import written_whole
    from neuralizer_jax.training.curves import curves_figure
    from neuralizer_jax.training.metrics_log import read_metrics

    joined: dict[str, tuple] = {}
    before = 0
    for folder in trainings:
        metrics = read_metrics(folder / "metrics.csv")
        for name, (steps, values) in metrics.items():
            earlier = joined.get(name, (np.zeros(0, int), np.zeros(0)))
            joined[name] = np.append(earlier[0], steps + before), np.append(earlier[1], values)
        before = max([before, *(int(steps[-1]) for steps, _ in joined.values() if len(steps))])
    if not joined:
        return None
    with written_whole(path) as temporary:
        curves_figure(joined).savefig(temporary)
    return path
