"""Ablation: Neuralizer-seen without task augmentations, trained on the eight tasks as they are.

    neuralizer train --config experiments/no_task_augmentation.py --workdir runs/no_task_augmentation

Time: as `neuralizer_seen.py`.
"""

from ml_collections import ConfigDict

from experiments import neuralizer_seen
from neuralizer_jax.cli.experiment_file import run_file


def get_config(scale: str = "full") -> ConfigDict:
    """The configuration."""
    config = neuralizer_seen.get_config(scale)
    for augmentation in config.data.task_augmentations.values():
        augmentation.probability = 0.0
    return config


if __name__ == "__main__":
    run_file("train", __file__)
