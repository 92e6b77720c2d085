"""Trained without the Hammers dataset: its 96 classes are the new segmentation protocol of the paper's Table 3.

    neuralizer train --config experiments/hammers_holdout.py --workdir runs/hammers_holdout

Time: as `neuralizer_seen.py`.
"""

from ml_collections import ConfigDict

from experiments import neuralizer_unseen
from neuralizer_jax.cli.experiment_file import run_file


def get_config(scale: str = "full") -> ConfigDict:
    """The configuration."""
    return neuralizer_unseen.get_config(datasets="hammers", scale=scale)


if __name__ == "__main__":
    run_file("train", __file__)
