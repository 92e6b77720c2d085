"""The weights that come along beside U-Nets, one a structure, that were trained on the subjects of the context.

    neuralizer prepare multiatlas2012 --raw FOLDER --out data
    neuralizer experiment --config experiments/pretrained_unets.py --out results/pretrained_unets

The 15 real scans of the MICCAI 2012 challenge: the eight of its splits train and val are what a U-Net is trained on,
and the context of the network; the seven of the split test are segmented. `:weights=FILE` compares others than those
that come along, `steps=` and `features=` make other U-Nets.
"""

from pathlib import Path

from commands import run_steps_of

from neuralizer_jax.experiment_steps import Step, shown_path
from neuralizer_jax.pretrained import DEFAULT, weights_path

_HERE = Path(__file__).parent
_DATASET, _SUBJECTS, _THEIRS = "multiatlas2012", 8, "train+val"

# Left: white matter, cortex, lateral ventricle, thalamus, hippocampus, putamen; brain stem. FreeSurfer's labels.
_STRUCTURES = (2, 3, 4, 10, 17, 12, 16)

# Pixels of a structure that an image has to show.
_SHOWN = 20


def get_steps(out: Path, data: Path, weights: str = DEFAULT, steps: int = 400, features: int = 32) -> list[Step]:
    """The commands.

    Args:
        out: folder of the results.
        data: folder of the prepared datasets.
        weights: file, or name of some that come along.
        steps: of the training of a U-Net.
        features: channels of a U-Net.
    """
    commands = []
    for label in _STRUCTURES:
        workdir, name = out / "runs" / f"unet_{label}", f"freesurfer:{label}"
        arguments = f"task=segmentation,subjects={_SUBJECTS},classes={name}"
        training = {
            "data.split": _THEIRS,
            "data.classes.min_pixels": _SHOWN,
            "model.features": features,
            "train.steps": steps,
            "train.batch_size": 2,
            # With 1e-3, or gradients of any size, those of small structures end with an empty mask.
            "train.learning_rate": 3e-4,
            "train.gradient_clip": 1.0,
            "train.warmup_steps": 20,
            "train.decay": "cosine",
            "validation.every": steps,
        }
        config = f"{shown_path(_HERE / 'baseline_unet.py')}:{arguments}"
        train = ("train", "--config", config, "--workdir", shown_path(workdir), "--data", shown_path(data / _DATASET))
        commands.append(Step((*train, *_changes(training)), workdir / "best.safetensors"))
        models = (
            f"Neuralizer-seen={shown_path(weights_path(weights))}",
            f"Baseline-seen@{_SUBJECTS}={shown_path(workdir / 'best.safetensors')}",
        )
        evaluation = {
            "data.classes.min_pixels": _SHOWN,
            "data.only.tasks": "segmentation",
            "data.only.classes": name,
        }
        evaluate = (
            *("evaluate", "--config", shown_path(_HERE / "base.py"), "--experiment", "experiment1"),
            *("--weights", *models, "--trivial", "--out", shown_path(out), "--data", shown_path(data / _DATASET)),
            *("--context-split", _THEIRS, "--sizes", "1", "2", "4", str(_SUBJECTS), "--draws", "1"),
        )
        commands.append(Step((*evaluate, *_changes(evaluation)), out / "scores.csv", always=True))
    return [*commands, Step(("report", shown_path(out)), out / "report/index.html", always=True)]


def _changes(changes: dict[str, object]) -> list[str]:
    return [f"--config.{key}={value}" for key, value in changes.items()]


if __name__ == "__main__":
    run_steps_of(__file__)
