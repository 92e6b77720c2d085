"""`neuralizer episodes --data DIR --out DIR`: pictures of training episodes."""

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "episodes",
        help="draw training episodes: every task and every task augmentation",
        description="Draws training episodes as pictures, one in each row: target and context, each input with its "
        "output, and the sampled parameters. Writes tasks.png with all tasks, task_NAME.png, augmentation_NAME.png "
        "and, of volumes, planes.png.",
        epilog="--config.data.KEY=VALUE changes the configuration, for instance "
        "--config.data.seed=3 or --config.data.tasks.denoising.weight=0.",
    )
    parser.add_argument(
        "--data", metavar="DIR", type=Path, nargs="+", help="datasets, OUT/DATASET of prepare, of slices or of volumes"
    )
    parser.add_argument(
        "--config",
        metavar="FILE[:NAME=VALUE,...]",
        help="experiment file, with its arguments (default: the default stream)",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path("episodes"), help="folder (default: episodes)")
    parser.add_argument("--tasks-only", action="store_true", help="write tasks.png and planes.png only")
    parser.set_defaults(run=run, changes_config=True)


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    from ml_collections import ConfigDict

    from input_pipeline.episodes.batches import EpisodeStream
    from input_pipeline.episodes.config import default_config
    from input_pipeline.episodes.pictures import draw_all, draw_tasks
    from input_pipeline.store.table import open_collection
    from neuralizer_jax.cli.start_jax import start_jax
    from neuralizer_jax.experiment_config import change_config, load_config

    start_jax()
    config = load_config(options.config) if options.config else ConfigDict({"data": default_config()})
    if options.data:
        config.data.datasets = tuple(str(folder) for folder in options.data)
    change_config(config, options.changes)
    stream = EpisodeStream(config.data, open_collection(config.data.datasets, config.data.split))
    for task in stream.planner.left_out:
        print(f"left out, the data cannot show it: {task}")
    options.out.mkdir(parents=True, exist_ok=True)
    for path in draw_tasks(stream, options.out) if options.tasks_only else draw_all(stream, options.out):
        print(path)
