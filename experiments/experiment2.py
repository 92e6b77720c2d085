"""Experiment 2 (paper, section 4.5, Fig. 5): what share of its best score a model reaches with a small context.

neuralizer experiment --config experiments/experiment2.py:scale=smoke --out results/smoke
"""

from pathlib import Path

from commands import Commands, run_steps_of

from neuralizer_jax.experiment_commands import Step


def get_steps(out: Path, data: Path, scale: str = "smoke") -> list[Step]:
    """The commands."""
    commands = Commands(out, data, scale)
    seen = commands.train("seen", "neuralizer_seen.py")
    evaluation = commands.evaluate("experiment2", {"Neuralizer-seen": seen})
    return [*commands.prepare(), seen, evaluation, commands.report()]


if __name__ == "__main__":
    run_steps_of(__file__)
