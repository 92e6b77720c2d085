r"""The recipe of the shipped weights, `small`: trained on label maps alone, in seven stages, small images first.

    neuralizer prepare labelmaps --raw training_label_maps --subjects-per-map 10 --slices=-25:-9:4 --out data

    train() {
        neuralizer train --config experiments/pretrained_first.py:stage=$1${2:+,init_from=$2} --workdir runs/$3 "${@:4}"
    }
    last() { neuralizer convert runs/$1/checkpoints runs/$1/last.safetensors; }

    train 1 "" first                                    # stopped by hand at step 2,544
    train 2 runs/first/best.safetensors second && last second
    train 3 runs/second/last.safetensors third && last third
    python -c 'import jax, neuralizer_jax as n; (model, a), (_, b) = (
        n.load_weights(f"runs/{stage}/last.safetensors") for stage in ("second", "third")
    ); n.save_weights("runs/mean.safetensors", model, jax.tree.map(lambda x, y: (x + y) / 2, a, b))'
    train 4 runs/mean.safetensors fourth && last fourth
    BEFORE="--config.train.learning_rate=8e-4 --config.train.dice_threshold=0.5"
    train 5 runs/fourth/last.safetensors fifth_1 $BEFORE --config.seed=0 --config.train.steps=1300 \
        --config.data.task_augmentations.mask_border.probability=0 \
        --config.data.task_augmentations.mask_part.probability=0      # stopped by hand at step 344
    last fifth_1
    train 5 runs/fifth_1/last.safetensors fifth_2 $BEFORE --config.seed=5 --config.train.steps=1200
    last fifth_2                                        # stopped by hand at step 645
    train 5 runs/fifth_2/last.safetensors fifth_3 && last fifth_3
    train 6 runs/fifth_3/last.safetensors sixth && last sixth
    train 7 runs/sixth/last.safetensors seventh         # on a GPU
    neuralizer convert --half runs/seventh/checkpoints small.safetensors

| stage | images | seed | steps | result | minutes, two CPU cores, partly beside other work |
| --- | --- | --- | --- | --- | --- |
| 1 | 64x64 | 0 | 2,544 of 20,000 | step 2,500, the best of the validation | 84, AMD EPYC |
| 2 | 128x128 | 0 | 800 | last step | 85, AMD EPYC |
| 3 | 192x192 | 0 | 500 | last step | 62, AMD EPYC |
| 4 | 144x144, the middle of the slice at 1 mm | 0 | 1,200 | last step | 71, Intel Xeon |
| 5, first part | the same | 0 | 344 of 1,300 | last step | 20, Intel Xeon |
| 5, second part | the same | 5 | 645 of 1,200 | last step | 38, Intel Xeon |
| 5, third part | the same | 6 | 520 | last step | 31, Intel Xeon |
| 6 | the same, moved by up to 24 mm | 7 | 850 | last step | 82, Intel Xeon |
| 7 | 192x192, whole slices, eight episodes a step | 8 | 1,510 | last step | 6, NVIDIA H100 |

Every stage keeps the moving average (EMA) of its parameters. The mean before stage 4 was saved in 16 bits. Stages 1
to 3 use Adam, 4 to 7 Muon. Stage 7 had six minutes of a GPU that it shared with four other trainings: it saw five of
the ten subjects of each label map, and its learning rate followed the cosine by the clock, which came to these steps.
2026-11-22 to 27; jax 0.10.2 (stage 7: 0.11.2), flax 0.12.8 (0.12.10), optax 0.2.8. Expected scores:
`neuralizer_jax/weights_files/small.md`; losses of each stage and trials: `benchmarks/results/training.md`.

All label maps are used for training but those of the validation split; other people's images are the test. Stage 1
trains at low resolution. In stage 3 images weigh five times as much beside segmentations as in the paper, and fewer
have a random contrast. In stage 4 a decibel is worth the same in every task. Stage 5 teaches to draw borders as the
context draws them, where a protocol and not the intensities defines them, and to segment structures of low contrast.
Stage 6 moves the slices further, to show what lies outside of their middle. Stage 7 shows whole slices again. Stage
8, not part of the shipped weights, is for contexts of another contrast than the target's (`stage=8,init_from=small`);
it is too short to keep all that stage 7 has learned.
"""

from ml_collections import ConfigDict

from experiments import base
from neuralizer_jax.cli.experiment_file import run_file
from neuralizer_jax.errors import InputError

_ALL = {
    "model.features": 32,
    "train.batch_size": 4,
    "train.warmup_steps": 100,
    "train.gradient_clip": 1.0,
    "data.datasets": ("data/labelmaps",),
    "data.split": "train+test",
    "data.context.max": 8,
    "data.tasks.segmentation.weight": 3.0,
    "data.tasks.skull_stripping.weight": 0.5,
    "data.task_augmentations.synthetic_modality.probability": 0.7,
    "log.every": 25,
}
_FIRST = _ALL | {
    "train.steps": 20_000,
    "train.learning_rate": 1e-3,
    "train.ema_decay": 0.999,
    "validation.every": 500,
    "validation.episodes": 4,
    "checkpoint.every": 100,
    "data.size": 64,
    "data.classes.min_pixels": 80,
}
_LATER = _ALL | {
    "train.learning_rate": 5e-4,
    "train.decay": "cosine",
    "train.ema_decay": 0.99,
    "validation.every": 200,
    "validation.episodes": 2,
    "checkpoint.every": 50,
}
_SECOND = _LATER | {"train.steps": 800, "data.size": 128, "data.classes.min_pixels": 40}
_THIRD = _LATER | {
    "train.steps": 500,
    "train.batch_size": 2,
    "train.sigma_squared": 0.01,
    "data.size": 192,
    "data.classes.min_pixels": 60,
    "data.task_augmentations.synthetic_modality.probability": 0.5,
}
_FOURTH = _LATER | {
    "train.steps": 1200,
    "train.warmup_steps": 30,
    "train.optimizer": "muon",
    "train.learning_rate": 8e-4,
    "train.sigma_squared": 0.0,
    "validation.every": 400,
    "validation.episodes": 1,
    "data.size": 144,
    "data.extent": 144,
    "data.classes.min_pixels": 40,
    "data.context.pad_to": 2,
    "data.tasks.segmentation.weight": 4.0,
    "data.task_augmentations.synthetic_modality.probability": 0.6,
}
_FIFTH = _FOURTH | {
    "seed": 6,  # other episodes than the stages before
    "train.steps": 520,
    "train.learning_rate": 5e-4,
    "train.dice_sharpness": 10.0,
    "train.dice_threshold": 0.4,
    "validation.every": 260,
    "data.context.other_source_probability": 0.4,
    "data.spatial.own.affine_probability": 0.3,
    "data.task_augmentations.synthetic_modality.mixture_probability": 0.7,
    "data.task_augmentations.mask_border.probability": 0.4,
    "data.task_augmentations.mask_part.probability": 0.25,
}
_SIXTH = _FIFTH | {
    "seed": 7,
    "train.steps": 850,
    "train.learning_rate": 6e-4,
    "validation.every": 425,
    "data.spatial.shared.translation": (-24.0, 24.0),
}
_SEVENTH = _FIFTH | {
    "seed": 8,
    "model.dtype": "bfloat16",
    "train.batch_size": 8,
    "train.steps": 1510,
    "train.warmup_steps": 100,
    "train.learning_rate": 8e-4,
    "train.ema_decay": 0.998,
    "validation.every": 1510,
    "data.size": 192,
    "data.extent": 192,
    "data.context.pad_to": 8,
    "data.spatial.shared.translation": (-16.0, 16.0),
}
_EIGHTH = _FIFTH | {
    "seed": 9,
    "train.steps": 480,
    "validation.every": 480,
    "data.size": 192,
    "data.extent": 192,
    "data.context.max": 6,
    "data.spatial.shared.translation": (-16.0, 16.0),
    "data.task_augmentations.synthetic_modality.own_probability": 0.4,
    "data.tasks.two_modality_transfer.weight": 2.0,
    "data.tasks.modality_transfer.weight": 1.5,
    "data.tasks.super_resolution.weight": 1.5,
    "data.tasks.motion_correction.weight": 1.5,
    "data.tasks.undersampled_reconstruction.weight": 1.5,
    "data.tasks.inpainting.weight": 0.5,
}
_STAGES = (_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH, _SIXTH, _SEVENTH, _EIGHTH)


def get_config(stage: int = 1, init_from: str = "") -> ConfigDict:
    """The configuration of a stage, 1 to 8; from stage 2 on it starts from the weights `init_from`."""
    if stage not in range(1, 1 + len(_STAGES)) or (stage > 1) != bool(init_from):
        raise InputError("pretrained_first.py: expected no argument for stage 1, init_from=FILE with stage=2 to 8")
    config = base.get_config()
    config.update_from_flattened_dict(_STAGES[stage - 1] | {"train.init_from": init_from})
    return config


if __name__ == "__main__":
    run_file("train", __file__)
