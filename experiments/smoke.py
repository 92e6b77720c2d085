"""A small model on small images of phantoms, on a CPU in minutes: shows that everything works, and that it learns.

neuralizer prepare phantom --out data
neuralizer train --config experiments/smoke.py --workdir runs/smoke
"""

import base
import neuralizer_seen
from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The configuration."""
    config = neuralizer_seen.get_config(scale="smoke")
    config.train.steps = 400
    config.validation.every = 100
    return config


if __name__ == "__main__":
    base.run_experiment(__file__)
