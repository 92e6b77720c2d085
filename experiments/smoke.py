"""A small model on small images of phantoms: shows that everything works and that the model learns.

    neuralizer prepare phantom --out data
    neuralizer train --config experiments/smoke.py --workdir runs/smoke

A few minutes on two CPU cores; the validation loss falls.
"""

from ml_collections import ConfigDict

from experiments import neuralizer_seen
from neuralizer_jax.cli.experiment_file import run_file


def get_config() -> ConfigDict:
    """The configuration."""
    config = neuralizer_seen.get_config(scale="smoke")
    config.train.steps = 400
    config.validation.every = 100
    return config


if __name__ == "__main__":
    run_file("train", __file__)
