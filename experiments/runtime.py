"""Runtime and size (paper, supplement): parameters, operations, time and memory against the context size.

    neuralizer experiment --config experiments/runtime.py:scale=smoke --out results/smoke

Expected: `benchmarks/results/experiments.md`.
"""

from pathlib import Path

from experiments.common.command_builder import CommandBuilder
from neuralizer_jax.cli.experiment_file import run_file
from neuralizer_jax.experiment_commands import Command


def get_commands(out: Path, data: Path, scale: str = "smoke") -> list[Command]:
    """The commands."""
    build = CommandBuilder(out, data, scale)
    models = {"Neuralizer-seen": build.train("seen", "neuralizer_seen")}
    for cell in build.scale.baselines[-1:]:
        models |= build.baselines(cell, {max(build.scale.subjects): 1})
    return [*build.prepare(), *models.values(), build.runtime(models), build.report()]


if __name__ == "__main__":
    run_file("experiment", __file__)
