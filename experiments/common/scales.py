"""Scales of the experiments: data, network size, training length and test cases.

smoke       phantoms, minutes on a CPU
heldout     label maps, three small trainings, hours on a CPU
labelmaps   label maps and the real scans of the MICCAI 2012 challenge, many hours on a CPU
full        data and sizes of the paper, GPUs
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ml_collections import ConfigDict

from neuralizer_jax.errors import InputError

_SMALL = {
    "train.warmup_steps": 50,
    "train.decay": "cosine",
    "train.gradient_clip": 1.0,
    "data.context.max": 8,
    "data.context.pad_to": 8,
}
_PAPER = ("oasis3", "brats2021", "ixi", "atlas2", "hammers", "isles2022", "wmh2017")
_SEVEN_TASKS = (
    "skull_stripping",
    "modality_transfer",
    "super_resolution",
    "motion_correction",
    "undersampled_reconstruction",
    "denoising",
    "inpainting",
)
# Structures of the paper's Table 3 that the slice shows, on one side, in each protocol.
_HAMMERS = (2, 10, 12, 14, 16, 19, 20, 24, 26, 40, 44, 49, 50, 60)
_NEUROMORPHOMETRICS = (48, 171, 201, 155, 123, 35, 173, 139, 60, 183, 177)


@dataclass(frozen=True)
class Protocol:
    """An unseen segmentation protocol (experiment 3).

    Attributes:
        dataset: dataset with this protocol.
        classes: its classes that are evaluated.
        training: experiment that trains the model, with arguments.
        subjects: numbers of training subjects of the baselines for each class.
        split: split of these training subjects.
        contexts: split of the context subjects (`--context-split`); empty: test, as for the targets.
    """

    dataset: str
    classes: tuple[str, ...]
    training: str
    subjects: tuple[int, ...]
    split: str = "train"
    contexts: str = ""


@dataclass(frozen=True)
class Scale:
    """Data, training and evaluation of an experiment.

    Attributes:
        datasets: names of the training datasets.
        unseen: arguments of `neuralizer_unseen.py`, for one training each.
        baselines: arguments of `baseline_unet.py`, for one task each, with classes or modalities.
        subjects: repeats by number of training subjects of the baselines (0: all subjects).
        protocol: of experiment 3.
        classes: evaluated classes; empty: all.
        modalities: evaluated modalities; empty: all.
        sizes: context sizes.
        cases: options of `neuralizer evaluate`.
        ablations: further options of `neuralizer evaluate` for the ablations, whose resampling is slow.
        changes: values of every configuration, by key.
    """

    datasets: tuple[str, ...]
    unseen: tuple[Mapping[str, str], ...]
    baselines: tuple[Mapping[str, str], ...]
    subjects: Mapping[int, int]
    protocol: Protocol
    classes: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    cases: tuple[str, ...] = ()
    ablations: tuple[str, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)


_SCANS = Protocol(
    dataset="multiatlas2012",
    classes=tuple(f"neuromorphometrics:{label}" for label in _NEUROMORPHOMETRICS),
    training="neuralizer_seen",
    subjects=(1, 2, 4, 8),
    # 7 of the 15 subjects are for tests, 8 train the baselines; no in-context model has seen any of them.
    split="train+val",
    contexts="all",
)

SCALES = {
    "smoke": Scale(
        datasets=("phantom",),
        unseen=(
            {"tasks": "inpainting"},
            {"classes": "freesurfer:10+freesurfer:49", "modalities": "FLAIR"},
        ),
        baselines=(
            {"task": "segmentation", "classes": "freesurfer:10"},
            {"task": "segmentation", "classes": "freesurfer:49"},
            {"task": "modality_transfer", "modalities": "T1+T2"},
            {"task": "inpainting"},
        ),
        subjects={1: 1, 8: 1},
        protocol=Protocol(
            dataset="phantom",
            classes=("freesurfer:10", "freesurfer:49"),
            training="neuralizer_unseen:classes=freesurfer:10+freesurfer:49,modalities=FLAIR",
            subjects=(1, 8),
        ),
        classes=("freesurfer:2", "freesurfer:10", "freesurfer:49"),
        modalities=("T1", "T2", "FLAIR"),
        sizes=(1, 2, 4, 8),
        cases=("--subjects", "5", "--draws", "2"),
        ablations=("--modalities", "1"),
        changes=_SMALL
        | {
            "model.features": 16,
            "train.steps": 150,
            "train.batch_size": 4,
            "train.learning_rate": 2e-3,
            "validation.every": 75,
            "validation.episodes": 4,
            "checkpoint.every": 50,
            "log.every": 25,
            "data.size": 64,
            "data.classes.min_pixels": 150,
        },
    ),
    "labelmaps": Scale(
        datasets=("labelmaps",),
        unseen=(
            *({"tasks": task} for task in ("inpainting", "super_resolution", "modality_transfer")),
            {"classes": "freesurfer:10+freesurfer:49+freesurfer:17+freesurfer:53"},
            {"modalities": "FLAIR"},
        ),
        baselines=(
            *({"task": "segmentation", "classes": f"freesurfer:{label}"} for label in (10, 17, 12, 16)),
            {"task": "modality_transfer", "modalities": "T1+T2"},
            *({"task": task} for task in _SEVEN_TASKS if task != "modality_transfer"),
        ),
        subjects={1: 1, 4: 1, 16: 1, 0: 1},
        protocol=_SCANS,
        modalities=("T1", "T2", "FLAIR"),
        cases=("--subjects", "10", "--draws", "2"),
        changes=_SMALL
        | {
            "model.features": 32,
            "train.steps": 6000,
            "train.batch_size": 4,
            "train.learning_rate": 1e-3,
            "validation.every": 500,
            "checkpoint.every": 250,
            "data.size": 96,
            "data.task_augmentations.synthetic_modality.probability": 0.5,
        },
    ),
    "heldout": Scale(
        datasets=("labelmaps",),
        # Several names of each kind in one training, to save trainings.
        unseen=(
            {"tasks": "inpainting+super_resolution", "classes": "freesurfer:10+freesurfer:49", "modalities": "T2"},
            {"tasks": "denoising+undersampled_reconstruction", "classes": "freesurfer:17+freesurfer:53"},
        ),
        baselines=(),
        subjects={},
        protocol=_SCANS,
        classes=tuple(f"freesurfer:{label}" for label in (2, 3, 10, 49, 16, 17, 53)),
        modalities=("T1", "T2", "FLAIR"),
        sizes=(1, 2, 4, 8),
        cases=("--subjects", "5", "--draws", "1", "--context-split", "all"),
        changes=_SMALL
        | {
            "model.features": 32,
            "train.steps": 2000,
            "train.batch_size": 4,
            "train.optimizer": "muon",
            "train.learning_rate": 3e-3,
            "train.sigma_squared": 0.0,
            "validation.every": 500,
            "validation.episodes": 4,
            "checkpoint.every": 100,
            "log.every": 25,
            "data.size": 64,
            "data.context.pad_to": 2,
            "data.classes.min_pixels": 80,
            "data.task_augmentations.synthetic_modality.probability": 0.5,
        },
    ),
    "full": Scale(
        datasets=_PAPER,
        unseen=(
            *({"tasks": task} for task in ("segmentation", *_SEVEN_TASKS)),
            *({"modalities": modality} for modality in ("T1", "T2", "PD", "MRA", "FLAIR", "ADC", "DWI", "DTI")),
        ),
        baselines=(
            *({"task": "segmentation", "classes": f"freesurfer:{label}"} for label in (2, 3, 4, 10, 12, 16, 17)),
            *({"task": "modality_transfer", "modalities": pair} for pair in ("T1+T2", "T1+FLAIR", "T2+PD")),
            *({"task": task} for task in _SEVEN_TASKS if task != "modality_transfer"),
        ),
        subjects={1: 3, 2: 2, 4: 1, 8: 1, 16: 1, 32: 1, 0: 1},
        protocol=Protocol(
            dataset="hammers",
            classes=tuple(f"hammers:{label}" for label in _HAMMERS),
            training="hammers_holdout",
            subjects=(1, 2, 4, 8),
        ),
        cases=("--draws", "3"),
    ),
}


def scale_named(name: str) -> Scale:
    """A scale of `SCALES`. Raises InputError for an unknown name."""
    if name not in SCALES:
        raise InputError(f"scale={name}: unknown, expected {', '.join(SCALES)}")
    return SCALES[name]


def scaled(config: ConfigDict, name: str) -> ConfigDict:
    """The configuration with the datasets and values of a scale. Raises InputError for an unknown name."""
    scale = scale_named(name)
    config.data.datasets = tuple(f"data/{dataset}" for dataset in scale.datasets)
    config.update_from_flattened_dict(dict(scale.changes))
    return config
