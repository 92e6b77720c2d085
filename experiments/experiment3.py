"""Experiment 3 (paper, section 4.6, Table 3): structures of a segmentation protocol that the model has not seen.

    neuralizer experiment --config experiments/experiment3.py:scale=full --out results/full

At full scale the Hammers dataset is left out of training; with label maps, whose protocol is FreeSurfer's, the model is
tested on the real scans of the MICCAI 2012 challenge (`neuralizer prepare multiatlas2012`); with phantoms, two classes
are left out. Beside it a U-Net for each class, trained on 1, 2, 4 or 8 of the subjects that are not test subjects.
"""

from pathlib import Path

from commands import Commands, run_steps_of

from neuralizer_jax.experiment_commands import Step


def get_steps(out: Path, data: Path, scale: str = "smoke") -> list[Step]:
    """The commands."""
    commands = Commands(out, data, scale)
    protocol = commands.scale.protocol
    unseen = commands.train(_name(protocol.training), protocol.training)
    models = {"Neuralizer-unseen": unseen}
    where = {} if protocol.dataset in commands.scale.datasets else {"dataset": protocol.dataset}
    only = {"tasks": ["segmentation"], "classes": protocol.classes}
    contexts = ("--context-split", protocol.contexts) if protocol.contexts else ()
    steps = [unseen, commands.evaluate("experiment3", models, only, options=("--trivial", *contexts), **where)]
    for label in protocol.classes:
        cell = {"task": "segmentation", "classes": label}
        changes = {} if protocol.split == "train" else {"data.split": protocol.split}
        baselines = commands.baselines(cell, dict.fromkeys(protocol.subjects, 1), changes, **where)
        only = {"tasks": ["segmentation"], "classes": [label]}
        steps += [*baselines.values(), commands.evaluate("experiment3", baselines, only, contexts, **where)]
    return [*commands.prepare(), *steps, commands.report()]


def _name(training: str) -> str:
    """Of a run, the same as in experiment 1."""
    file, _, arguments = training.partition(":")
    values = [part.partition("=")[2] for part in arguments.split(",")]
    return "_".join([file.removesuffix(".py").removeprefix("neuralizer_"), *filter(None, values)]).replace(":", "")


if __name__ == "__main__":
    run_steps_of(__file__)
