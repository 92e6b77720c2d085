"""Experiment 2 (paper, section 4.5, Fig. 5): the share of its best score that a model reaches with a small context.

    neuralizer experiment --config experiments/experiment2.py:scale=smoke --out results/smoke

Expected: `benchmarks/results/experiments.md`.
"""

from pathlib import Path

from experiments.common.command_builder import CommandBuilder
from neuralizer_jax.cli.experiment_file import run_file
from neuralizer_jax.experiment_commands import Command


def get_commands(out: Path, data: Path, scale: str = "smoke") -> list[Command]:
    """The commands."""
    build = CommandBuilder(out, data, scale)
    seen = build.train("seen", "neuralizer_seen")
    return [*build.prepare(), seen, build.evaluate("experiment2", {"Neuralizer-seen": seen}), build.report()]


if __name__ == "__main__":
    run_file("experiment", __file__)
