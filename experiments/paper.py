"""All experiments of the paper, in one folder with one report.

    neuralizer experiment --config experiments/paper.py:scale=smoke --out results/smoke

`scale=smoke` runs on phantoms, 20 minutes on two CPU cores. `labelmaps` takes many hours, on label maps and the scans
of the MICCAI 2012 challenge. `full` is the paper's size and data, for GPUs. All scales:
`experiments/common/scales.py`. Expected: `benchmarks/results/experiments.md`.
"""

from pathlib import Path

from experiments import ablations, experiment1, experiment2, experiment3, runtime
from neuralizer_jax.cli.experiment_file import run_file
from neuralizer_jax.experiment_commands import Command


def get_commands(out: Path, data: Path, scale: str = "smoke") -> list[Command]:
    """The commands; those that several experiments share run once, the report comes last."""
    parts = (experiment1, experiment2, experiment3, ablations, runtime)
    commands = [part.get_commands(out, data, scale) for part in parts]
    report = commands[0][-1]
    return [*dict.fromkeys(command for part in commands for command in part[:-1]), report]


if __name__ == "__main__":
    run_file("experiment", __file__)
