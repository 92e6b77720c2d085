"""What is measured is what is trained: the training finds the programs that were compiled to be measured."""

import json
import os
import subprocess
import sys

import pytest
from gpu_scripts import FOLDER, script

# Runs measure.py, or steps of the loop, with images that are quick to make.
CHILD = """
import importlib.util, sys
from pathlib import Path
import jax, jax.numpy as jnp, numpy as np

path, what, folder, *arguments = sys.argv[1:]
spec = importlib.util.spec_from_file_location("measure", path)
measure = importlib.util.module_from_spec(spec)
spec.loader.exec_module(measure)


class Stream:
    stored = {"volume": np.linspace(0, 1, 4096, dtype=np.float32).reshape(64, 64)}

    def __init__(self, config, collection=None):
        self.rows = config.crops[0][2]

    def batch(self, step):
        size, members = (16, 2) if step % 4 else (24, 2)
        return {
            "step": np.array(step), "task": np.zeros(self.rows, np.int32),
            "context_mask": np.ones((self.rows, members), bool), "canvas": np.zeros((self.rows, size, 0), np.uint8),
        }

    def apply_on_device(self, batch):
        (rows, members), size = batch["context_mask"].shape, batch["canvas"].shape[1]
        image = jnp.broadcast_to(batch["volume"][:size, :size, None], (rows, 1 + members, size, size, 3))
        return {
            "target_in": image[:, 0], "target_out": image[:, 0, ..., :1],
            "context_in": image[:, 1:], "context_out": image[:, 1:, ..., :1], "context_mask": batch["context_mask"],
            "task": batch["task"], "is_segmentation": jnp.zeros(rows, bool),
        }


measure.training_stream, measure.open_collection = Stream, lambda *_: None
if what == "measure":
    sys.argv = ["measure.py", *arguments]
    measure.main()
else:
    from neuralizer_jax.training.loop import Episodes, train

    measure.start_jax()
    parser = measure.make_parser()
    options = parser.parse_args(arguments)
    config = measure.configured(options, options.batches[0])
    config.train.steps, config.log.every = 6, 1
    stream = Stream(config.data)

    def batches(step):
        while True:
            yield stream.batch(step)
            step += 1

    train(config, Path(folder), Episodes(["copy"], batches, lambda: iter(()), stream.apply_on_device, stream.stored))
"""


class FakeTraining:
    """Takes `seconds` a step; none: it does not fit into memory."""

    def __init__(self, episodes, seconds):
        self.shares, self.seconds = {(96, 8, episodes): 1.0}, seconds

    def compile(self, shape):
        return "program", {"episodes": shape[-1]}

    def time(self, program, shape, seconds):
        if self.seconds is None:
            raise RuntimeError("RESOURCE_EXHAUSTED")
        return self.seconds


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ((0.10, 0.11, 0.12), 16),  # small batches leave the card idle
        ((0.10, 0.11, 0.21), 8),
        ((0.10, 0.20, 0.40), 4),
        ((0.10, 0.11, None), 8),
    ],
)
def test_the_smallest_batch_that_is_worth_its_time(seconds, chosen):
    sizes = (4, 8, 16)
    trainings = {size: FakeTraining(4 * size, its) for size, its in zip(sizes, seconds, strict=True)}
    assert script("measure").choose(trainings, 1) == chosen


def test_the_training_compiles_nothing_again(tmp_path):
    programs = tmp_path / "programs"
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(programs)}
    arguments = ["--config", "pretrained:stage=crops,features=2", "--seed", "1000", "--data", "none"]
    arguments += ["--batches", "2", "--seconds", "0.1", "--", "--config.validation.every=0"]
    arguments += ["--config.model.stages=1", "--config.train.warmup_steps=0", "--config.train.optimizer=adam"]

    def child(what, *arguments):
        command = [sys.executable, "-c", CHILD, FOLDER / "measure.py", what, tmp_path / "run", *arguments]
        done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    lines = child("measure", *arguments)
    measured = [line for line in lines if line["kind"] == "program"]
    assert {(line["size"], line["members"], line["episodes"]) for line in measured} == {(16, 2, 8), (24, 2, 8)}
    assert [round(line["share"], 2) for line in measured] == [0.75, 0.25]
    assert all(0 < line["making_seconds"] < line["seconds"] for line in measured)
    before = {path.name for path in programs.glob("jit_train-*-cache")}
    assert len(before) == 2
    child("train", *arguments)
    assert (tmp_path / "run/checkpoints/6").exists()
    assert {path.name for path in programs.glob("jit_train-*-cache")} == before
