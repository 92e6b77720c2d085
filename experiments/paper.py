"""All experiments of the paper, in one folder with one report.

    neuralizer experiment --config experiments/paper.py:scale=smoke --out results/smoke

`scale=smoke` makes everything of phantoms on a CPU in minutes; `labelmaps` takes many hours, of label maps and the
scans of the MICCAI 2012 challenge; `full` is the paper's size and data, for GPUs. See `scales.py`.
"""

from pathlib import Path

import ablations
import experiment1
import experiment2
import experiment3
import runtime
from commands import run_steps_of

from neuralizer_jax.experiment_commands import Step


def get_steps(out: Path, data: Path, scale: str = "smoke") -> list[Step]:
    """The commands; those that several experiments have in common are run once, the report last."""
    parts = (experiment1, experiment2, experiment3, ablations, runtime)
    steps = [part.get_steps(out, data, scale) for part in parts]
    report = steps[0][-1]
    return [*dict.fromkeys(step for part in steps for step in part[:-1]), report]


if __name__ == "__main__":
    run_steps_of(__file__)
