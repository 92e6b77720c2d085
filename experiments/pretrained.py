"""Weights for anyone's images: trained on label maps alone, in two stages, small images first.

    neuralizer prepare labelmaps --raw FOLDER --subjects-per-map 10 --slices=-25:-9:4 --out data
    neuralizer train --config experiments/pretrained.py --workdir runs/pretrained_64
    neuralizer train --config experiments/pretrained.py:stage=2,start=runs/pretrained_64/best.safetensors \\
        --workdir runs/pretrained_128

Most images have a contrast that no scanner has. All label maps are trained on but those of the validation split: there
is no test here, which is for other people's images. The first stage, 64x64, can be stopped whenever its validation loss
no longer falls; the second, 128x128, is short. What is validated and exported is an average of the parameters.
"""

import base
from ml_collections import ConfigDict

from neuralizer_jax.errors import InputError


def get_config(stage: int = 1, start: str = "") -> ConfigDict:
    """The configuration of stage 1, or of stage 2, which starts from the weights of stage 1."""
    if stage not in (1, 2) or (stage == 2) != bool(start):
        raise InputError("pretrained.py: expected no argument, or stage=2,start=FILE")
    config = base.get_config()
    config.model.features = 32
    config.train.batch_size = 4
    config.train.learning_rate = 1e-3
    config.train.warmup_steps = 100
    config.train.gradient_clip = 1.0
    config.train.average = 0.999
    config.train.start = start
    config.data.datasets = ("data/labelmaps",)
    config.data.split = "train+test"
    config.data.context.max = 8
    config.data.task_augmentations.synthetic_modality.probability = 0.7
    config.data.tasks.segmentation.weight = 3.0
    config.data.tasks.skull_stripping.weight = 0.5
    config.log.every = 25
    if stage == 1:
        config.train.steps = 20_000
        config.validation.every = 500
        config.validation.episodes = 4
        config.checkpoint.every = 100
        config.data.size = 64
        config.data.classes.min_pixels = 80
    else:
        config.train.steps = 800
        config.train.learning_rate = 5e-4
        config.train.decay = "cosine"
        config.train.average = 0.99
        config.validation.every = 200
        config.validation.episodes = 2
        config.checkpoint.every = 50
        config.data.size = 128
        config.data.classes.min_pixels = 40
    return config


if __name__ == "__main__":
    base.run_experiment(__file__)
