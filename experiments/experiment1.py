"""Experiment 1 (paper, section 4.4, Fig. 4): Neuralizer that has and has not seen the task, and U-Nets trained for it.

    neuralizer experiment --config experiments/experiment1.py:scale=smoke --out results/smoke

Scores against the number of context members, or of the U-Nets' training subjects; the same for T1 alone; a table of all
tasks; beside them predictors that have learned nothing. What is held out are tasks (or classes) one after another, and
modalities, whose scores are an experiment of their own, `experiment1_modalities`.
"""

from collections.abc import Mapping
from pathlib import Path

from commands import Commands, run_steps_of

from neuralizer_jax.experiment_commands import Step

SEEN, UNSEEN = "Neuralizer-seen", "Neuralizer-unseen"


def get_steps(out: Path, data: Path, scale: str = "smoke") -> list[Step]:
    """The commands."""
    commands = Commands(out, data, scale)
    seen = commands.train("seen", "neuralizer_seen.py")
    steps = [*commands.prepare(), seen, commands.evaluate("experiment1", {SEEN: seen}, options=("--trivial",))]
    for held_out in commands.scale.unseen:
        unseen = train_unseen(commands, held_out)
        names = {kind: value.split("+") for kind, value in held_out.items()}
        steps.append(unseen)
        if "tasks" in names:
            steps.append(commands.evaluate("experiment1", {UNSEEN: unseen}, {"tasks": names["tasks"]}))
        if "classes" in names:
            only = {"tasks": ["segmentation"], "classes": names["classes"]}
            steps.append(commands.evaluate("experiment1", {UNSEEN: unseen}, only))
        if "modalities" in names:
            only = {"modalities": names["modalities"]}
            steps.append(commands.evaluate("experiment1_modalities", {SEEN: seen, UNSEEN: unseen}, only))
    for cell in commands.scale.baselines:
        baselines = commands.baselines(cell, commands.scale.subjects)
        only = {kind: cell[kind].split("+") for kind in ("classes", "modalities") if kind in cell}
        steps += [*baselines.values(), commands.evaluate("experiment1", baselines, {"tasks": [cell["task"]]} | only)]
    return [*steps, commands.report()]


def train_unseen(commands: Commands, held_out: Mapping[str, str]) -> Step:
    """The training of a model without some tasks, modalities or classes."""
    arguments = ",".join(f"{kind}={names}" for kind, names in held_out.items())
    run = "_".join(["unseen", *held_out.values()]).replace(":", "")
    return commands.train(run, f"neuralizer_unseen.py:{arguments}")


if __name__ == "__main__":
    run_steps_of(__file__)
