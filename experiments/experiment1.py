"""Experiment 1 (paper, section 4.4, Fig. 4): seen and unseen tasks, beside task-specific U-Nets.

    neuralizer experiment --config experiments/experiment1.py:scale=smoke --out results/smoke

Scores against the context size or, for U-Nets, the number of training subjects; the same for T1 alone; a table of all
tasks; untrained baselines. Tasks (or classes) are held out one after another. Modalities are held out too; their
scores are a separate experiment in the table, `experiment1_modalities`. Expected:
`benchmarks/results/experiments.md`.
"""

from collections.abc import Mapping
from pathlib import Path

from experiments.common.command_builder import CommandBuilder, with_arguments
from neuralizer_jax.cli.experiment_file import run_file
from neuralizer_jax.experiment_commands import Command

SEEN, UNSEEN = "Neuralizer-seen", "Neuralizer-unseen"


def get_commands(out: Path, data: Path, scale: str = "smoke") -> list[Command]:
    """The commands."""
    build = CommandBuilder(out, data, scale)
    seen = build.train("seen", "neuralizer_seen")
    commands = [*build.prepare(), seen, build.evaluate("experiment1", {SEEN: seen}, options=("--untrained",))]
    for held_out in build.scale.unseen:
        unseen = train_unseen(build, held_out)
        names = {kind: value.split("+") for kind, value in held_out.items()}
        commands.append(unseen)
        if "tasks" in names:
            commands.append(build.evaluate("experiment1", {UNSEEN: unseen}, {"tasks": names["tasks"]}))
        if "classes" in names:
            only = {"tasks": ["segmentation"], "classes": names["classes"]}
            commands.append(build.evaluate("experiment1", {UNSEEN: unseen}, only))
        if "modalities" in names:
            only = {"modalities": names["modalities"]}
            commands.append(build.evaluate("experiment1_modalities", {SEEN: seen, UNSEEN: unseen}, only))
    for cell in build.scale.baselines:
        baselines = build.baselines(cell, build.scale.subjects)
        only = {kind: cell[kind].split("+") for kind in ("classes", "modalities") if kind in cell}
        commands += [*baselines.values(), build.evaluate("experiment1", baselines, {"tasks": [cell["task"]]} | only)]
    return [*commands, build.report()]


def train_unseen(build: CommandBuilder, held_out: Mapping[str, str]) -> Command:
    """Trains a model without some tasks, modalities or classes."""
    run = "_".join(["unseen", *held_out.values()]).replace(":", "")
    return build.train(run, with_arguments("neuralizer_unseen", held_out))


if __name__ == "__main__":
    run_file("experiment", __file__)
