"""The shipped weights beside U-Nets, each trained for one task on the subjects of the context.

    neuralizer prepare multiatlas2012 --raw FOLDER --align intensities --out data
    neuralizer experiment --config experiments/pretrained_unets.py --out results/pretrained_unets

The MICCAI 2012 challenge has 15 real scans. The eight scans of the splits train and val are the context of the network
and the training set of the U-Nets; each structure also has a U-Net that is trained on one of them. The seven scans of
the split test are predicted. Each structure is a task, and so is each artefact, with twice the training steps.
`:weights=FILE` compares other weights, `steps=` and `features=` change the U-Nets. Expected:
`benchmarks/results/pretrained_comparisons.md`.
"""

from collections.abc import Mapping
from pathlib import Path

from experiments.common.command_builder import flags, report, with_arguments
from neuralizer_jax.cli.experiment_file import run_file
from neuralizer_jax.experiment_commands import Command, shown_path
from neuralizer_jax.weights.pretrained import DEFAULT, weights_path

_DATASET, _CONTEXT_SPLIT = "multiatlas2012", "train+val"
_SIZES = (1, 2, 4, 8)

# Left: white matter, cortex, lateral ventricle, thalamus, hippocampus, putamen; brain stem. FreeSurfer's labels.
_STRUCTURES = (2, 3, 4, 10, 17, 12, 16)
_ARTEFACTS = ("denoising", "inpainting", "motion_correction", "super_resolution", "undersampled_reconstruction")

# Training subjects of the U-Nets for a structure and for an artefact.
_STRUCTURE_SUBJECTS, _ARTEFACT_SUBJECTS = (1, 8), (8,)

# With 1e-3, or unclipped gradients, U-Nets for small structures end with an empty mask.
_STRUCTURE_TRAINING = {"train.learning_rate": 3e-4}
# 0.4 dB more, for super-resolution, than half the steps at 1e-3 with the paper's loss.
_ARTEFACT_TRAINING = {"train.learning_rate": 2e-3, "train.sigma_squared": 0.0}

# Least number of pixels of a structure in an image.
_SHOWN: dict[str, object] = {"data.classes.min_pixels": 20}


def get_commands(out: Path, data: Path, weights: str = DEFAULT, steps: int = 400, features: int = 32) -> list[Command]:
    """The commands.

    Args:
        out: folder of the results.
        data: folder of the prepared datasets.
        weights: file, or name of shipped weights.
        steps: training steps of a U-Net for a structure; a U-Net for an artefact has twice as many.
        features: channels of a U-Net.
    """
    on_data = ("--data", shown_path(data / _DATASET))

    def train(task: str, label: str, subjects: int) -> Command:
        workdir = out / "runs" / f"unet_{label.rpartition(':')[2] or task}_{subjects}"
        total_steps = steps if label else 2 * steps
        training = _SHOWN | {
            "data.split": _CONTEXT_SPLIT,
            "model.features": features,
            "train.steps": total_steps,
            "train.batch_size": 2,
            "train.gradient_clip": 1.0,
            "train.warmup_steps": 20,
            "train.decay": "cosine",
            "validation.every": total_steps,
        }
        training |= _STRUCTURE_TRAINING if label else _ARTEFACT_TRAINING
        arguments = {"task": task, "subjects": str(subjects)} | ({"classes": label} if label else {})
        config = with_arguments("baseline_unet", arguments)
        command = ("train", "--config", config, "--workdir", shown_path(workdir), *on_data, *flags(training))
        return Command(command, workdir / "best.safetensors")

    def evaluate(task: str, label: str, unets: Mapping[int, Command]) -> Command:
        baselines = (f"Baseline-seen@{subjects}={shown_path(unet.makes)}" for subjects, unet in unets.items())
        only = {"data.only.tasks": task} | ({"data.only.classes": label} if label else {})
        command = (
            *("evaluate", "--config", "base", "--experiment", "experiment1"),
            *("--weights", f"Neuralizer-seen={shown_path(weights_path(weights))}", *baselines, "--untrained"),
            *("--out", shown_path(out), *on_data, "--context-split", _CONTEXT_SPLIT),
            *("--sizes", *map(str, _SIZES), "--draws", "1", *flags(_SHOWN | only)),
        )
        return Command(command, out / "scores.csv", always=True)

    commands = []
    cells = [("segmentation", f"freesurfer:{label}") for label in _STRUCTURES] + [(task, "") for task in _ARTEFACTS]
    for task, label in cells:
        numbers = _STRUCTURE_SUBJECTS if label else _ARTEFACT_SUBJECTS
        unets = {subjects: train(task, label, subjects) for subjects in numbers}
        commands += [*unets.values(), evaluate(task, label, unets)]
    return [*commands, report(out)]


if __name__ == "__main__":
    run_file("experiment", __file__)
