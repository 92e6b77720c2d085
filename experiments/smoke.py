"""A small model on small images of phantoms, on a CPU in minutes: shows that everything works, and that it learns.

neuralizer prepare phantom --out data
neuralizer train --config experiments/smoke.py --workdir runs/smoke
"""

import base
from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The configuration."""
    config = base.get_config()
    config.model.features = 16
    config.train.steps = 400
    config.train.batch_size = 4
    config.train.learning_rate = 2e-3
    config.train.warmup_steps = 50
    config.train.decay = "cosine"
    config.train.gradient_clip = 1.0
    config.validation.every = 100
    config.validation.episodes = 4
    config.checkpoint.every = 50
    config.log.every = 25
    config.data.datasets = ("data/phantom",)
    config.data.size = 64
    config.data.context.max = 8
    config.data.context.pad_to = 8
    config.data.classes.min_pixels = 150
    return config


if __name__ == "__main__":
    base.run_experiment(__file__)
