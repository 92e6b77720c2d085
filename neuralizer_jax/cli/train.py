"""`neuralizer train --config FILE --workdir DIR`: an experiment, from its file to weights."""

import argparse
import json
import sys
from collections.abc import Generator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from ml_collections import ConfigDict

    from input_pipeline.episodes.batches import EpisodeStream
    from input_pipeline.episodes.mixed_sizes import MixedSizes
    from neuralizer_jax.training.loop import Episodes


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "train",
        help="train the network of an experiment",
        description="Trains the network that an experiment file describes. Writes checkpoints, metrics.csv, "
        "TensorBoard files, validation pictures and best.safetensors (weights for `neuralizer predict`) to DIR. "
        "After a kill or an interruption the same command goes on from the last checkpoint.",
        epilog="Change values with --config.KEY=VALUE, for instance --config.train.batch_size=4; experiments/base.py "
        "lists all keys.",
    )
    parser.add_argument(
        "--config",
        metavar="FILE[:NAME=VALUE,...]",
        required=True,
        help="experiment file, or name of an installed experiment (neuralizer_seen), with its arguments",
    )
    parser.add_argument("--workdir", metavar="DIR", type=Path, required=True, help="folder of the run")
    parser.add_argument(
        "--data",
        metavar="DIR",
        nargs="+",
        help="datasets, OUT/DATASET of prepare, of slices or of volumes (default: those of the experiment)",
    )
    several = parser.add_argument_group("several processes, with parallel.mode pmap or mesh")
    several.add_argument("--coordinator", metavar="HOST:PORT", default="", help="address of process 0")
    several.add_argument("--processes", metavar="P", type=int, default=1, help="number of processes (default: 1)")
    several.add_argument("--process", metavar="I", type=int, default=0, help="number of this one, from 0 (default: 0)")
    less_memory = "--config.train.accumulate=2 (or more), --config.model.remat=True or a smaller --config.data.size"
    parser.set_defaults(run=run, changes_config=True, less_memory=less_memory)


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    from neuralizer_jax.cli.start_jax import start_jax
    from neuralizer_jax.evaluation.leakage import TRAINING_SUBJECTS_FILE, check_same_subjects, write_training_subjects
    from neuralizer_jax.experiment_config import change_config, load_config
    from neuralizer_jax.files.atomic_file import written_whole
    from neuralizer_jax.training.loop import train
    from neuralizer_jax.training.parallel import initialize_processes
    from neuralizer_jax.training.work_folder import has_begun, open_work_folder

    config = load_config(options.config)
    if options.data:
        config.data.datasets = tuple(options.data)
    change_config(config, options.changes)
    initialize_processes(options.coordinator, options.processes, options.process)
    start_jax()
    stream = _training_stream(config, options.process, options.processes)
    with open_work_folder(options.workdir, config) as folder:
        if options.process == 0:
            if has_begun(folder) and (trained_on := folder / TRAINING_SUBJECTS_FILE).exists():
                check_same_subjects(trained_on, stream.subjects())
            write_training_subjects(folder, stream.subjects())
            with written_whole(folder / "training_data.json") as temporary:
                temporary.write_text(json.dumps(stream.collection.fingerprints(), indent=1) + "\n", encoding="utf-8")
        summary = train(config, folder, _episodes(config, stream))
    if options.process:
        return
    loss = "no validation yet" if summary["best_loss"] is None else f"best validation loss {summary['best_loss']:.4f}"
    print(f"{folder}: ended by {summary['ended']} after step {summary['step']}, {loss} (step {summary['best_step']})")
    for name in ("best.safetensors", "metrics.csv", "curves.png", "summary.json"):
        if (folder / name).exists():
            print(f"  {folder / name}")
    if summary["ended"].startswith("SIG"):
        print("the same command goes on from there")
        # 130 as in a shell after Ctrl-C. SIGTERM is a cluster's request: the run obeyed it, so that is no failure.
        sys.exit(0 if summary["ended"] == "SIGTERM" else 130)


def _training_stream(config: "ConfigDict", process: int, processes: int) -> "EpisodeStream | MixedSizes":
    from input_pipeline.episodes.mixed_sizes import training_stream
    from input_pipeline.store.table import open_collection
    from neuralizer_jax.errors import InputError

    if config.model.architecture != "unet" and config.data.context.min < 1:
        raise InputError(f"data.context.min: {config.data.context.min}, expected at least 1 member for a neuralizer")
    multiple = 2 ** (config.model.stages - 1)
    for size in (config.data.size, *(crop[0] for crop in config.data.crops)):
        if size % multiple:
            raise InputError(f"data.size: {size}, expected a multiple of {multiple} for {config.model.stages} stages")
    collection = open_collection(config.data.datasets, config.data.split)
    return training_stream(config.data, collection, process=process, processes=processes)


def _episodes(config: "ConfigDict", stream: "EpisodeStream | MixedSizes") -> "Episodes":
    from input_pipeline.episodes.batches import EpisodeStream
    from input_pipeline.episodes.validation import SIZES, validation_batches, validation_config
    from input_pipeline.ops.registry import TASKS
    from input_pipeline.store.table import PLANE_NAMES, open_collection
    from neuralizer_jax.training.loop import Episodes

    settings = validation_config(config.data)
    validation = EpisodeStream(settings, open_collection(settings.datasets, settings.split))
    sizes = (0,) if config.model.architecture == "unet" else SIZES
    return Episodes(
        tasks=list(TASKS),
        batches=lambda step: _batches(stream, step),
        validation=lambda: validation_batches(validation, config.validation.episodes, sizes),
        finish=stream.apply_on_device if config.data.apply == "device" else None,
        stored=stream.stored if config.data.apply == "device" else {},
        planes=PLANE_NAMES,
    )


def _batches(stream: "EpisodeStream | MixedSizes", step: int) -> "Generator[dict[str, np.ndarray], None, None]":
    """The batches from a step on, by tf.data or, if TensorFlow is not installed, by threads: the same batches."""
    if find_spec("tensorflow") is None:
        from input_pipeline.episodes.threads import episode_iterator

        with closing(episode_iterator(stream, step)) as batches:
            yield from batches
    else:
        from input_pipeline.episodes.tf_data import episode_dataset

        yield from episode_dataset(stream, step).as_numpy_iterator()
