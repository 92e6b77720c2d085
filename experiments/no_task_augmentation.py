"""Ablation: Neuralizer-seen without task augmentations, so that the tasks are the eight there are and no others.

neuralizer train --config experiments/no_task_augmentation.py --workdir runs/no_task_augmentation
"""

import base
import neuralizer_seen
from ml_collections import ConfigDict


def get_config(scale: str = "full") -> ConfigDict:
    """The configuration."""
    config = neuralizer_seen.get_config(scale)
    for augmentation in config.data.task_augmentations.values():
        augmentation.probability = 0.0
    return config


if __name__ == "__main__":
    base.run_experiment(__file__)
