"""Trained without the Hammers dataset, whose 96 classes are the new segmentation protocol of the paper's Table 3.

neuralizer train --config experiments/hammers_holdout.py --workdir runs/hammers_holdout
"""

import base
import neuralizer_unseen
from ml_collections import ConfigDict


def get_config(scale: str = "full") -> ConfigDict:
    """The configuration."""
    return neuralizer_unseen.get_config(datasets="hammers", scale=scale)


if __name__ == "__main__":
    base.run_experiment(__file__)
