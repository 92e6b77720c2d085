"""Weights for anyone's images: trained on label maps alone, in seven stages, small images first.

    neuralizer prepare labelmaps --raw FOLDER --subjects-per-map 10 --slices=-25:-9:4 --out data
    neuralizer train --config experiments/pretrained.py --workdir runs/pretrained_64
    neuralizer train --config experiments/pretrained.py:stage=2,start=runs/pretrained_64/best.safetensors \\
        --workdir runs/pretrained_128
    neuralizer convert runs/pretrained_128/checkpoints runs/pretrained_128/last.safetensors
    neuralizer train --config experiments/pretrained.py:stage=3,start=runs/pretrained_128/last.safetensors \\
        --workdir runs/pretrained_192
    neuralizer convert runs/pretrained_192/checkpoints runs/pretrained_192/last.safetensors
    neuralizer train --config experiments/pretrained.py:stage=4,start=runs/mean.safetensors \\
        --workdir runs/pretrained_144
    neuralizer convert runs/pretrained_144/checkpoints runs/pretrained_144/last.safetensors
    neuralizer train --config experiments/pretrained.py:stage=5,start=runs/pretrained_144/last.safetensors \\
        --workdir runs/pretrained_borders
    neuralizer convert runs/pretrained_borders/checkpoints runs/pretrained_borders/last.safetensors
    neuralizer train --config experiments/pretrained.py:stage=6,start=runs/pretrained_borders/last.safetensors \\
        --workdir runs/pretrained_moved
    neuralizer convert runs/pretrained_moved/checkpoints runs/pretrained_moved/last.safetensors
    neuralizer train --config experiments/pretrained.py:stage=7,start=runs/pretrained_moved/last.safetensors \\
        --workdir runs/pretrained_whole
    neuralizer convert --half runs/pretrained_whole/checkpoints runs/pretrained_whole/small.safetensors
    neuralizer train --config experiments/pretrained.py:stage=8,start=runs/pretrained_whole/small.safetensors \\
        --workdir runs/pretrained_contrasts

The fourth stage starts from the mean of the parameters of the first two `last.safetensors`; what the seventh ends with
comes along.

Most images have a contrast that no scanner has. All label maps are trained on but those of the validation split: there
is no test here, which is for other people's images. The first stage, 64x64, can be stopped whenever its validation loss
no longer falls; the others are short, and their learning rate ends at 0: their last step counts.
In the third one images weigh five times as much beside segmentations as in the paper, and fewer have a contrast that no
scanner has; in the fourth a decibel is worth the same in every task. It shows the middle 144 mm of a slice, nearly all
of the brain, in pixels of 1 mm, for half the price of the whole. The fifth teaches to draw borders as the context draws
them, where a protocol and not the intensities says where they are, and to segment what has little contrast. The sixth
goes on with that, and moves the slices further, so that what lies outside of their middle is shown too. The seventh
shows whole slices again, in twice as large batches, and is for a GPU. The eighth is for contexts of another contrast
than the target's: every image of many episodes has its own. It is too short to keep all that the seventh has learned,
and not in the weights that come along (`benchmarks/results/training.md`). What is validated and exported is an average
of the parameters. The weights that come along had 989 steps of the fifth with other settings before these; their card,
`neuralizer_jax/weights_files/small.md`, has the commands.
"""

import base
from ml_collections import ConfigDict

from neuralizer_jax.errors import InputError


def get_config(stage: int = 1, start: str = "") -> ConfigDict:
    """The configuration of a stage, 1 to 8; the later ones start from the weights of those before."""
    if stage not in range(1, 9) or (stage > 1) != bool(start):
        raise InputError("pretrained.py: expected no argument for the first stage, start=FILE with stage=2 to 8")
    config = base.get_config()
    config.model.features = 32
    config.train.batch_size = 4
    config.train.learning_rate = 1e-3
    config.train.warmup_steps = 100
    config.train.gradient_clip = 1.0
    config.train.ema_decay = 0.999
    config.train.init_from = start
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
        return config
    config.train.learning_rate = 5e-4
    config.train.decay = "cosine"
    config.train.ema_decay = 0.99
    config.validation.every = 200
    config.validation.episodes = 2
    config.checkpoint.every = 50
    if stage == 2:
        config.train.steps = 800
        config.data.size = 128
        config.data.classes.min_pixels = 40
    elif stage == 3:
        config.train.steps = 500
        config.train.batch_size = 2
        config.train.sigma_squared = 0.01
        config.data.size = 192
        config.data.classes.min_pixels = 60
        config.data.task_augmentations.synthetic_modality.probability = 0.5
    else:
        config.train.steps = 1200
        config.train.warmup_steps = 30
        config.train.optimizer = "muon"
        config.train.learning_rate = 8e-4
        config.train.sigma_squared = 0.0
        config.validation.every = 400
        config.validation.episodes = 1
        config.data.size = config.data.extent = 144
        config.data.classes.min_pixels = 40
        config.data.context.pad_to = 2
        config.data.task_augmentations.synthetic_modality.probability = 0.6
        config.data.tasks.segmentation.weight = 4.0
    if stage >= 5:
        config.seed = 6  # other episodes than the stages before
        config.train.steps = 520
        config.train.learning_rate = 5e-4
        config.train.dice_sharpness = 10.0
        config.train.dice_threshold = 0.4
        config.validation.every = 260
        config.data.context.other_source_probability = 0.4
        config.data.spatial.own.affine_probability = 0.3
        config.data.task_augmentations.synthetic_modality.mixture_probability = 0.7
        config.data.task_augmentations.mask_border.probability = 0.4
        config.data.task_augmentations.mask_part.probability = 0.25
    if stage == 6:
        config.seed = 7
        config.train.steps = 850
        config.train.learning_rate = 6e-4
        config.validation.every = 425
        config.data.spatial.shared.translation = (-24.0, 24.0)
    elif stage == 7:
        config.seed = 8
        config.model.dtype = "bfloat16"
        config.train.batch_size = 8
        config.train.steps = 1510
        config.train.warmup_steps = 100
        config.train.learning_rate = 8e-4
        config.train.ema_decay = 0.998
        config.validation.every = config.train.steps
        config.data.size = config.data.extent = 192
        config.data.context.pad_to = 8
        config.data.spatial.shared.translation = (-16.0, 16.0)
    elif stage == 8:
        config.seed = 9
        config.train.steps = 480
        config.train.learning_rate = 5e-4
        config.validation.every = config.train.steps
        config.data.size = config.data.extent = 192
        config.data.context.max = 6
        config.data.spatial.shared.translation = (-16.0, 16.0)
        config.data.task_augmentations.synthetic_modality.own_probability = 0.4
        config.data.tasks.two_modality_transfer.weight = 2.0
        for name in ("modality_transfer", "super_resolution", "motion_correction", "undersampled_reconstruction"):
            config.data.tasks[name].weight = 1.5
        config.data.tasks.inpainting.weight = 0.5
    return config


if __name__ == "__main__":
    base.run_experiment(__file__)
