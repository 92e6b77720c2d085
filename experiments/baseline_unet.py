"""Baseline: a U-Net without context, trained for one task on some of the subjects (paper, section 4.3).

    neuralizer train --config experiments/baseline_unet.py:task=denoising,subjects=8,repeat=1 --workdir runs/unet
    neuralizer train --config experiments/baseline_unet.py:task=segmentation,classes=freesurfer:17 --workdir runs/unet

It has as many channels as the Neuralizer, 64, and four times as many when trained on all subjects (`subjects=0`).
Another `repeat` samples other subjects and initial parameters; the paper repeats 1 subject three times and 2 subjects
twice. Without a context the network cannot know which of several tasks is meant. So no task is augmented, and classes
or modalities to be told apart are named (several joined by `+`). Expected, small:
`benchmarks/results/experiments.md`.
"""

from ml_collections import ConfigDict

from experiments import neuralizer_seen
from neuralizer_jax.cli.experiment_file import run_file


def get_config(
    task: str = "denoising",
    subjects: int = 0,
    repeat: int = 0,
    classes: str = "",
    modalities: str = "",
    scale: str = "full",
) -> ConfigDict:
    """The configuration for a task and a number of training subjects."""
    config = neuralizer_seen.get_config(scale)
    config.seed = repeat
    config.model.architecture = "unet"
    config.model.features *= 1 if subjects else 4
    # A linear output trained for one small structure falls below 0 everywhere, where soft Dice has no gradient.
    config.model.segmentation_sigmoid = True
    config.data.only.tasks = (task,)
    config.data.only.classes = tuple(name for name in classes.split("+") if name)
    config.data.only.modalities = tuple(name for name in modalities.split("+") if name)
    config.data.classes.union_probability = 0.0
    config.data.subjects.number = subjects
    config.data.subjects.draw = repeat
    config.data.context.min = config.data.context.max = 0
    for augmentation in config.data.task_augmentations.values():
        augmentation.probability = 0.0
    return config


if __name__ == "__main__":
    run_file("train", __file__)
