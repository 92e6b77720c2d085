"""Compiles the programs of a training into the cache that the training reads, and times them.

    python measure.py --config pretrained:stage=crops --seed 1000 --data DATASET --batches 4 8 16

One line of JSON for each thing that is known, at once: an interruption loses nothing. Called by `run.py`.
"""

import argparse
import gzip
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import jax

from input_pipeline.episodes.mixed_sizes import training_stream
from input_pipeline.store.table import open_collection
from neuralizer_jax.cli.start_jax import start_jax
from neuralizer_jax.experiment_config import change_config, load_config
from neuralizer_jax.training.parallel import compile_steps
from neuralizer_jax.training.state import create_state

# The smallest batch that makes so many episodes a second, against the best one: more steps teach more.
ENOUGH = 0.85

# Steps that are looked at to find the shapes of the batches.
LOOKED_AT = 60


class Training:
    """The compiled steps of a configuration, and a batch of each shape."""

    def __init__(self, config, state):
        """Plans some batches; compiles nothing."""
        stream = training_stream(config.data, open_collection(config.data.datasets, config.data.split))
        self.steps = compile_steps(config.parallel, stream.apply_on_device, stream.stored)
        self.finish = jax.jit(stream.apply_on_device)
        self.stored = stream.stored
        self.state = state
        self.batches, self.shares = {}, Counter()
        for step in range(LOOKED_AT):
            batch = stream.batch(step)
            shape = batch["canvas"].shape[1], *batch["context_mask"].shape[::-1]  # size, context members, episodes
            self.batches.setdefault(shape, batch)
            self.shares[shape] += 1 / LOOKED_AT

    def compile(self, shape):
        """The compiled step of a shape, and what is known of it."""
        start = time.perf_counter()
        lowered = self.steps.train.lower(self.steps.put_state(self.state), self.steps.put_batch(self.batches[shape]))
        traced = time.perf_counter()
        program = lowered.compile()
        memory = program.memory_analysis()
        size, members, episodes = shape
        return program, {
            "size": size,
            "members": members,
            "episodes": episodes,
            "share": self.shares[shape],
            "trace_seconds": traced - start,
            "compile_seconds": time.perf_counter() - traced,
            "bytes": memory.temp_size_in_bytes + memory.argument_size_in_bytes if memory else None,
        }

    def compile_finish(self, shape):
        """The compiled making of episodes of a shape, by itself."""
        return self.finish.lower(self.batches[shape] | self.stored).compile()

    def time(self, program, shape, seconds):
        """Median seconds of a step, over some time."""
        state, batch = self.steps.put_state(self.state), self.steps.put_batch(self.batches[shape])
        state, _ = jax.block_until_ready(program(state, batch))
        taken = []
        while sum(taken) < seconds or len(taken) < 3:
            start = time.perf_counter()
            state, _ = jax.block_until_ready(program(state, batch))
            taken.append(time.perf_counter() - start)
        return statistics.median(taken)

    def time_finish(self, program, shape, seconds):
        """Median seconds of making the episodes alone."""
        batch, taken = jax.device_put(self.batches[shape] | self.stored), []
        jax.block_until_ready(program(batch))
        while sum(taken) < seconds or len(taken) < 3:
            start = time.perf_counter()
            jax.block_until_ready(program(batch))
            taken.append(time.perf_counter() - start)
        return statistics.median(taken)


def write(kind, **values):
    """A line of the results."""
    print(json.dumps({"kind": kind} | values), flush=True)


def configured(options, batch):
    """The configuration of a batch size, as `neuralizer train` has it."""
    config = load_config(f"{options.config},batch={batch}")
    config.data.datasets = tuple(options.data)
    change_config(config, options.changes)
    config.seed = options.seed + batch
    return config


def choose(trainings, seconds):
    """The batch size that is worth its time; sizes that do not fit into memory are left out."""

    def rate(training):
        shape = min(training.shares)
        program, found = training.compile(shape)
        return program, shape, found

    with ThreadPoolExecutor() as pool:
        waiting = {batch: pool.submit(rate, training) for batch, training in trainings.items()}
    rates = {}
    for batch, future in waiting.items():
        try:
            program, shape, found = future.result()
            step = trainings[batch].time(program, shape, seconds)
        except Exception as error:  # mostly out of memory
            write("failed", batch=batch, error=" ".join(str(error).split())[:300])
            continue
        rates[batch] = shape[-1] / step
        write("batch", batch=batch, seconds=step, **found)
    if not rates:
        sys.exit("no batch size fits")
    return min(batch for batch, its in rates.items() if its >= ENOUGH * max(rates.values()))


def trace(program, training, shape, path):
    """Writes JAX's trace of three steps, for TensorBoard or Perfetto."""
    state, batch = training.steps.put_state(training.state), training.steps.put_batch(training.batches[shape])
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(3):
                state, _ = jax.block_until_ready(program(state, batch))
        [found] = Path(folder).rglob("*.xplane.pb")
        path.write_bytes(gzip.compress(found.read_bytes()))


def make_parser():
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="experiment with its arguments, but for the batch size")
    parser.add_argument("--seed", type=int, required=True, help="that the size of the batch is added to")
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--batches", type=int, nargs="+", required=True, help="one of them is chosen")
    parser.add_argument("--seconds", type=float, default=30, help="to measure for; 0: only compile")
    parser.add_argument("--trace", type=Path, help="file of the profiler's trace, .xplane.pb.gz")
    parser.add_argument("changes", nargs="*", help="--config.KEY=VALUE, after --")
    return parser


def main():
    """Chooses the batch size, then compiles and times every program of its training."""
    options = make_parser().parse_args()
    start_jax()
    device = jax.devices()[0]
    versions = {
        name: metadata.version(name) for name in ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    }
    write("device", name=device.device_kind, cores=os.cpu_count(), versions=versions, memory=device.memory_stats())
    configs = {batch: configured(options, batch) for batch in options.batches}
    state = create_state(configs[options.batches[0]], jax.random.key(0))
    trainings = {batch: Training(config, state) for batch, config in configs.items()}
    batch = options.batches[0]
    if len(trainings) > 1:
        batch = choose(trainings, options.seconds / 10)
    write("chosen", batch=batch)
    training = trainings.pop(batch)
    trainings.clear()
    largest = max(training.shares, key=lambda shape: shape[0] ** 2 * (1 + shape[1]) * shape[2])
    with ThreadPoolExecutor() as pool:
        waiting = {shape: pool.submit(training.compile, shape) for shape in sorted(training.shares)}
        extremes = {min(waiting), largest} if options.seconds else ()
        making = {shape: pool.submit(training.compile_finish, shape) for shape in extremes}
    programs = {shape: future.result()[0] for shape, future in waiting.items()}
    each = options.seconds / len(waiting)
    for shape, future in waiting.items():
        found = future.result()[1]
        if options.seconds:
            found["seconds"] = training.time(programs[shape], shape, each / 2)
        if shape in making:
            found["making_seconds"] = training.time_finish(making[shape].result(), shape, each / 2)
        write("program", batch=batch, **found)
    write("peak", memory=device.memory_stats())
    if options.trace:
        trace(programs[largest], training, largest, options.trace)


if __name__ == "__main__":
    main()
