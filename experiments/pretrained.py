"""The recipe of the weights in the package: from label maps to `small` (32 features) and `base` (64).

    neuralizer experiment --config experiments/pretrained.py:raw=training_label_maps --out results/pretrained

prepares the label maps as volumes, trains stage after stage and writes `small.safetensors` and `base.safetensors`. Stop
it whenever you like: the same command goes on. `--list` prints the commands. With `scans=FOLDER`, scans of the MICCAI
2012 challenge, it also scores both weights (`pretrained_evaluation.py`) and writes the card of each. A stage by itself:

    neuralizer train --config experiments/pretrained.py:stage=crops --data data/labelmaps-volumes --workdir runs/crops

| stage | starts from | images | steps | learning rate |
| --- | --- | --- | --- | --- |
| crops | random parameters | crops of 96 mm; whole slices at 1.5 mm | `crops` | constant |
| slices | crops; `base`: slices of `small`, widened | crops of 96 mm; whole slices at 1 mm | `slices` | constant |
| decay | slices | the same | `decay` | cosine to 0 |

The rate is constant until the last stage, and the average of the parameters (EMA) is kept: every checkpoint is good,
and more steps can be added later. `crops=20000` adds them; the stages after it then train again. On a GPU, `batch=8`
makes batches of eight times the episodes, in bfloat16. Some minutes of a GPU help too (`docs/howto/train_on_gpu.md`):
`small_from=results/pretrained/runs/gpu-1-small-crops-batch8/checkpoints` goes on from them. The twelve maps of the
training and test splits are trained on; the two of the validation split show how far the training is.

Every slice is cut from a volume: all planes and positions, tilted, deformed, each image displaced by what registration
leaves and more; contrasts of eight modalities or random ones, slices of up to 6 mm, heads with and without skull. The
context has 1 to 16 pairs (1 to 8 in the first stage), mostly of the target's contrast. Loss, shares of the tasks and
optimiser were chosen by the trials in `benchmarks/results/training.md` and `trials.md`.
"""

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from experiments import base, pretrained_evaluation
from experiments.common.command_builder import with_arguments
from neuralizer_jax.cli.experiment_file import run_file
from neuralizer_jax.errors import InputError
from neuralizer_jax.experiment_commands import Command, shown_path

_ALL: dict[str, Any] = {
    "train.optimizer": "muon",
    "train.gradient_clip": 1.0,
    "train.warmup_steps": 100,
    # A decibel is worth the same in every task.
    "train.sigma_squared": 0.0,
    "train.dice_sharpness": 10.0,
    "train.dice_threshold": 0.4,
    "validation.every": 1000,
    "validation.episodes": 3,
    "validation.patience": 1_000_000,
    "checkpoint.every": 100,
    "log.every": 25,
    "data.split": "train+test",
    "data.size": 96,
    "data.extent": 96,
    "data.context.max": 16,
    "data.context.pad_to": 2,
    "data.classes.min_pixels": 40,
    "data.volumes.scans.random_contrast_probability": 0.6,
    "data.task_augmentations.synthetic_modality.mixture_probability": 0.7,
    "data.task_augmentations.mask_border.probability": 0.3,
    "data.task_augmentations.mask_part.probability": 0.2,
    "data.tasks.segmentation.weight": 4.0,
    "data.tasks.skull_stripping.weight": 0.5,
    "data.tasks.motion_correction.weight": 1.5,
    "data.tasks.undersampled_reconstruction.weight": 1.5,
    "data.tasks.denoising.weight": 1.5,
}

# Size in pixels, extent in mm, episodes of a batch, weight.
_CROPS = ((96, 96, 4, 3.0), (128, 192, 2, 1.0))
_SLICES = ((96, 96, 4, 2.0), (192, 192, 2, 1.0))

STAGES: dict[str, dict[str, Any]] = {
    "crops": {
        "train.learning_rate": 2e-3,
        "train.ema_decay": 0.998,
        "data.crops": _CROPS,
        "data.context.max": 8,  # half the time of a step
    },
    "slices": {"train.learning_rate": 1e-3, "train.ema_decay": 0.998, "data.crops": _SLICES, "seed": 1},
    "decay": {
        "train.learning_rate": 1e-3,
        "train.decay": "cosine",
        "train.ema_decay": 0.99,
        "data.crops": _SLICES,
        "seed": 2,
    },
}


def get_config(
    stage: str = "crops", features: int = 32, steps: int = 12_000, init_from: str = "", batch: int = 1
) -> ConfigDict:
    """The configuration of a stage.

    Args:
        stage: crops, slices or decay.
        features: channels of the network.
        steps: of the stage.
        init_from: weights, or checkpoints of the stage before; empty for random parameters.
        batch: number that the episodes of a batch are multiplied with; above 1 the network computes in bfloat16.
    """
    if stage not in STAGES:
        raise InputError(f"pretrained.py: stage={stage}, expected {', '.join(STAGES)}")
    config = base.get_config()
    config.update_from_flattened_dict(
        _ALL | STAGES[stage] | {"model.features": features, "train.steps": steps, "train.init_from": init_from}
    )
    if batch > 1:
        config.model.dtype = "bfloat16"
        config.data.context.pad_to = 8  # fewer programs to compile
        config.data.crops = tuple((*lengths, batch * rows, weight) for *lengths, rows, weight in config.data.crops)
    return config


def get_commands(
    out: Path,
    data: Path,
    raw: str = "training_label_maps",
    crops: int = 12_000,
    slices: int = 4_000,
    decay: int = 1_500,
    batch: int = 1,
    small_from: str = "",
    base_from: str = "",
    scans: str = "",
) -> list[Command]:
    """The commands.

    Args:
        out: folder of the runs and of the weights.
        data: folder of the prepared datasets.
        raw: folder of the label maps.
        crops: steps of that stage.
        slices: steps of that stage, for each network; 0: without it.
        decay: steps of that stage, for each network; 0: without it.
        batch: as for `get_config`.
        small_from: checkpoints of another run that `small` goes on from, instead of the stage crops.
        base_from: likewise for `base`, instead of the slices of `small`.
        scans: folder of scans of the MICCAI 2012 challenge; empty: no scores and no card.
    """
    volumes = data / "labelmaps-volumes"
    steps = {"crops": crops, "slices": slices, "decay": decay}
    prepare = ("prepare", "labelmaps", "--raw", raw, "--volumes", "--out", shown_path(data))

    commands = [Command(prepare, volumes)]

    def train(stage: str, features: int, folder: str, before: Path | None = None) -> Path:
        """Adds a stage. Returns its checkpoints."""
        if steps[stage] == 0 and before:
            return before
        arguments: dict[str, object] = {"stage": stage, "features": features, "steps": steps[stage], "batch": batch}
        if before:
            arguments["init_from"] = shown_path(before)
        config = with_arguments("pretrained", arguments)
        workdir = out / "runs" / folder
        command = ("train", "--config", config, "--workdir", shown_path(workdir), "--data", shown_path(volumes))
        commands.append(Command(command, workdir / "checkpoints"))
        return workdir / "checkpoints"

    def export(checkpoints: Path, name: str) -> None:
        path = out / f"{name}.safetensors"
        commands.append(Command(("convert", "--half", shown_path(checkpoints), shown_path(path)), path, always=True))
        if scans:
            commands.extend(pretrained_evaluation.prepare(data, raw, scans))
            folder = out / f"evaluation-of-{checkpoints.parent.name}"
            training, text = shown_path(checkpoints.parent), "pretrained_card.md.j2"
            commands.extend(pretrained_evaluation.get_commands(folder, data, str(path), text=text, training=training))

    # A folder is named after the steps before it, or the run: others there make another run.
    before = Path(small_from) if small_from else train("crops", 32, "small-crops")
    after = before.parent.name if small_from else crops
    small = train("slices", 32, f"small-slices-after-{after}", before)
    export(train("decay", 32, f"small-decay-after-{after}-{slices}", small), "small")
    before = Path(base_from) if base_from else small
    after = before.parent.name if base_from else f"{after}-{slices}"
    base_slices = train("slices", 64, f"base-slices-after-{after}", before)
    export(train("decay", 64, f"base-decay-after-{after}", base_slices), "base")
    return commands


if __name__ == "__main__":
    run_file("experiment", __file__)
