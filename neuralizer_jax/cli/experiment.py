"""`neuralizer experiment --config FILE --out DIR`: the trainings, evaluations and the report of an experiment."""

import argparse
import sys
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "experiment",
        help="run a whole experiment: trainings, evaluations, report",
        description="Runs the commands of an experiment one after another. Trainings go to DIR/runs, scores to "
        "DIR/scores.csv, the report to DIR/report. After an interruption the same command goes on; finished commands "
        "do not run again.",
        epilog="for instance: neuralizer experiment --config experiments/paper.py:scale=smoke --out results/smoke",
    )
    parser.add_argument(
        "--config",
        metavar="FILE[:NAME=VALUE,...]",
        required=True,
        help="file with get_commands, or name of an installed experiment (paper), with its arguments: "
        "scale=smoke (a CPU, minutes), labelmaps (hours) or full (GPUs)",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder of the experiment")
    parser.add_argument(
        "--data", metavar="DIR", type=Path, default=Path("data"), help="folder of prepared datasets (default: data)"
    )
    parser.add_argument("--list", action="store_true", help="print the commands and run none")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    from neuralizer_jax.experiment_commands import Stopped, run_commands
    from neuralizer_jax.experiment_config import load_commands

    commands = load_commands(options.config, options.out, options.data)
    if options.list:
        print("\n".join(command.line for command in commands))
        return
    try:
        run_commands(commands, options.out)
    except Stopped as stopped:
        [number] = stopped.args
        print(f"stopped by {number.name}; the same command goes on from there")
        sys.exit(128 + number)
    print(f"\n{options.out}: all {len(commands)} commands are done, {commands[-1].makes}")
