"""Runtime and size (paper, supplement): parameters, operations, time and memory against the size of the context.

neuralizer experiment --config experiments/runtime.py:scale=smoke --out results/smoke
"""

from pathlib import Path

from commands import Commands, run_steps_of

from neuralizer_jax.experiment_commands import Step


def get_steps(out: Path, data: Path, scale: str = "smoke") -> list[Step]:
    """The commands."""
    commands = Commands(out, data, scale)
    seen = commands.train("seen", "neuralizer_seen.py")
    baselines = {}
    for cell in commands.scale.baselines[-1:]:
        baselines = commands.baselines(cell, {max(commands.scale.subjects): 1})
    steps = [*commands.prepare(), seen, *baselines.values()]
    return [*steps, commands.runtime({"Neuralizer-seen": seen} | baselines), commands.report()]


if __name__ == "__main__":
    run_steps_of(__file__)
