"""The weights that come along beside U-Nets that were trained for one task each, on subjects of the context.

    neuralizer prepare multiatlas2012 --raw FOLDER --out data
    neuralizer experiment --config experiments/pretrained_unets.py --out results/pretrained_unets

Of the 15 real scans of the MICCAI 2012 challenge, the eight of its splits train and val are the context of the network
and what a U-Net is trained on, for a structure one of them as well; the seven of the split test are what is predicted.
A structure is a task of its own, and so is each artefact, with twice the steps. `:weights=FILE` compares others than
those that come along, `steps=` and `features=` make other U-Nets.
"""

from collections.abc import Mapping
from pathlib import Path

from commands import run_steps_of

from neuralizer_jax.experiment_commands import Step, shown_path
from neuralizer_jax.weights.pretrained import DEFAULT, weights_path

_HERE = Path(__file__).parent
_DATASET, _THEIRS = "multiatlas2012", "train+val"
_SIZES = (1, 2, 4, 8)

# Left: white matter, cortex, lateral ventricle, thalamus, hippocampus, putamen; brain stem. FreeSurfer's labels.
_STRUCTURES = (2, 3, 4, 10, 17, 12, 16)
_ARTEFACTS = ("denoising", "inpainting", "motion_correction", "super_resolution", "undersampled_reconstruction")

# Numbers of subjects that a structure's U-Nets are trained on, and an artefact's.
_OF_STRUCTURE, _OF_ARTEFACT = (1, 8), (8,)

# With 1e-3, or gradients of any size, those of small structures end with an empty mask.
_MASKS = {"train.learning_rate": 3e-4}
# 0.4 dB more, for super-resolution, than half the steps at 1e-3 with the paper's loss.
_IMAGES = {"train.learning_rate": 2e-3, "train.sigma_squared": 0.0}

# Pixels of a structure that an image has to show.
_SHOWN = {"data.classes.min_pixels": 20}


def get_steps(out: Path, data: Path, weights: str = DEFAULT, steps: int = 400, features: int = 32) -> list[Step]:
    """The commands.

    Args:
        out: folder of the results.
        data: folder of the prepared datasets.
        weights: file, or name of some that come along.
        steps: of the training of a U-Net for a structure; twice as many for an artefact.
        features: channels of a U-Net.
    """
    on_data = ("--data", shown_path(data / _DATASET))

    def trained(task: str, name: str, subjects: int) -> Step:
        workdir = out / "runs" / f"unet_{name.rpartition(':')[2] or task}_{subjects}"
        most = steps if name else 2 * steps
        training = _SHOWN | {
            "data.split": _THEIRS,
            "model.features": features,
            "train.steps": most,
            "train.batch_size": 2,
            "train.gradient_clip": 1.0,
            "train.warmup_steps": 20,
            "train.decay": "cosine",
            "validation.every": most,
        }
        training |= _MASKS if name else _IMAGES
        arguments = f"task={task},subjects={subjects}" + (f",classes={name}" if name else "")
        config = f"{shown_path(_HERE / 'baseline_unet.py')}:{arguments}"
        command = ("train", "--config", config, "--workdir", shown_path(workdir), *on_data, *_changes(training))
        return Step(command, workdir / "best.safetensors")

    def evaluated(task: str, name: str, unets: Mapping[int, Step]) -> Step:
        baselines = (f"Baseline-seen@{subjects}={shown_path(step.makes)}" for subjects, step in unets.items())
        only = {"data.only.tasks": task} | ({"data.only.classes": name} if name else {})
        command = (
            *("evaluate", "--config", shown_path(_HERE / "base.py"), "--experiment", "experiment1"),
            *("--weights", f"Neuralizer-seen={shown_path(weights_path(weights))}", *baselines, "--trivial"),
            *("--out", shown_path(out), *on_data, "--context-split", _THEIRS),
            *("--sizes", *map(str, _SIZES), "--draws", "1", *_changes(_SHOWN | only)),
        )
        return Step(command, out / "scores.csv", always=True)

    commands = []
    cells = [("segmentation", f"freesurfer:{label}") for label in _STRUCTURES] + [(task, "") for task in _ARTEFACTS]
    for task, name in cells:
        unets = {subjects: trained(task, name, subjects) for subjects in (_OF_STRUCTURE if name else _OF_ARTEFACT)}
        commands += [*unets.values(), evaluated(task, name, unets)]
    return [*commands, Step(("report", shown_path(out)), out / "report/index.html", always=True)]


def _changes(changes: Mapping[str, object]) -> list[str]:
    return [f"--config.{key}={value}" for key, value in changes.items()]


if __name__ == "__main__":
    run_steps_of(__file__)
