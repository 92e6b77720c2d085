"""Trained on label maps alone: every image is synthesised, half of them with a contrast that no scanner has.

    neuralizer prepare labelmaps --raw FOLDER --out data
    neuralizer train --config experiments/labelmaps.py --workdir runs/labelmaps

Any folder of FreeSurfer-style label maps will do; no scan is needed. `pretrained.py` is the recipe of the shipped
weights, in stages.
"""

from ml_collections import ConfigDict

from experiments import base
from neuralizer_jax.cli.experiment_file import run_file


def get_config() -> ConfigDict:
    """The configuration."""
    config = base.get_config()
    config.data.datasets = ("data/labelmaps",)
    config.data.task_augmentations.synthetic_modality.probability = 0.5
    return config


if __name__ == "__main__":
    run_file("train", __file__)
