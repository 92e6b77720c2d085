"""Experiment 3 (paper, section 4.6, Table 3): structures of a segmentation protocol that the model has not seen.

    neuralizer experiment --config experiments/experiment3.py:scale=full --out results/full

`scale=full` holds the Hammers dataset out of training. `scale=labelmaps` trains on FreeSurfer's protocol and tests on
the real scans of the MICCAI 2012 challenge (`neuralizer prepare multiatlas2012`). `scale=smoke` holds out two classes
of the phantoms. Beside it a U-Net for each class, trained on 1, 2, 4 or 8 subjects outside of the test split.
Expected: `benchmarks/results/experiments.md`.
"""

from pathlib import Path

from experiments.common.command_builder import CommandBuilder
from neuralizer_jax.cli.experiment_file import run_file
from neuralizer_jax.experiment_commands import Command


def get_commands(out: Path, data: Path, scale: str = "smoke") -> list[Command]:
    """The commands."""
    build = CommandBuilder(out, data, scale)
    protocol = build.scale.protocol
    dataset = "" if protocol.dataset in build.scale.datasets else protocol.dataset
    contexts = ("--context-split", protocol.contexts) if protocol.contexts else ()

    def evaluate(models: dict[str, Command], *classes: str, options: tuple[str, ...] = ()) -> Command:
        only = {"tasks": ["segmentation"], "classes": classes}
        return build.evaluate("experiment3", models, only, (*options, *contexts), dataset)

    unseen = build.train(_run_name(protocol.training), protocol.training)
    commands = [unseen, evaluate({"Neuralizer-unseen": unseen}, *protocol.classes, options=("--untrained",))]
    changes = {} if protocol.split == "train" else {"data.split": protocol.split}
    for label in protocol.classes:
        cell = {"task": "segmentation", "classes": label}
        baselines = build.baselines(cell, dict.fromkeys(protocol.subjects, 1), changes, dataset)
        commands += [*baselines.values(), evaluate(baselines, label)]
    return [*build.prepare(), *commands, build.report()]


def _run_name(training: str) -> str:
    """The folder of a run, the same as in experiment 1, so that both share the training."""
    experiment, _, arguments = training.partition(":")
    values = [part.partition("=")[2] for part in arguments.split(",")]
    return "_".join([experiment.removeprefix("neuralizer_"), *filter(None, values)]).replace(":", "")


if __name__ == "__main__":
    run_file("experiment", __file__)
