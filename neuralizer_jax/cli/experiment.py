"""`neuralizer experiment --config FILE --out DIR`: trains, evaluates and reports all that an experiment needs."""

import argparse
import sys
from pathlib import Path

from neuralizer_jax.cli.experiment_file import run_file


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "experiment",
        help="run a whole experiment: trainings, evaluations, report",
        description="Runs the commands that an experiment consists of, one after another: trainings below DIR/runs, "
        "scores in DIR/scores.csv, the report in DIR/report. Interrupted at any time, the same command goes on; what "
        "is done is not done again.",
        epilog="for instance: neuralizer experiment --config experiments/paper.py:scale=smoke --out results/smoke",
    )
    parser.add_argument(
        "--config",
        metavar="FILE[:NAME=VALUE,...]",
        required=True,
        help="file with get_steps, and its arguments: scale=smoke (a CPU, minutes), labelmaps (hours) or full (GPUs)",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder of the experiment")
    parser.add_argument(
        "--data", metavar="DIR", type=Path, default=Path("data"), help="folder of prepared datasets (default: data)"
    )
    parser.add_argument("--list", action="store_true", help="print the commands and run none")
    parser.set_defaults(run=run)


def run_steps_of(path: str) -> None:
    """Runs the experiment of a file with the command line's options: what the file does when it is run itself."""
    run_file("experiment", path)


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    from neuralizer_jax.experiment_config import load_steps
    from neuralizer_jax.experiment_commands import Stopped, run_steps

    steps = load_steps(options.config, options.out, options.data)
    if options.list:
        print("\n".join(step.line for step in steps))
        return
    try:
        run_steps(steps, options.out)
    except Stopped as stopped:
        print(f"stopped by {stopped}; the same command goes on from there")
        sys.exit(128 + stopped.number)
    print(f"\n{options.out}: all {len(steps)} commands are done, {steps[-1].makes}")
