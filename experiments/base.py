"""Every key of an experiment, with its unit and default. The other files here start from it and change a few.

    neuralizer episodes --config experiments/base.py --data data/phantom     draws what it would be trained on

Values are those of the paper (Czolbe and Dalca, CVPR 2023, section 4.3) where it names them.
"""

from ml_collections import ConfigDict

from input_pipeline.episodes.config import default_config
from neuralizer_jax.cli.train import run_experiment


def get_config() -> ConfigDict:
    """The configuration; `data` is `input_pipeline/episodes/config.py`'s, with its keys listed there."""
    config = ConfigDict(
        {
            "seed": 0,  # of the parameters and of everything random in the episodes
            "model": {
                "architecture": "neuralizer",  # neuralizer, or unet: the baseline, which has no context
                "features": 64,  # channels of every stage
                "stages": 4,  # resolutions
                "segmentation_sigmoid": False,  # whether the output for a segmentation is a logit
                "dtype": "float32",  # to compute in: float32 or bfloat16; parameters, mean and loss are float32
                "remat": False,  # computes activations twice instead of keeping them: half the memory
            },
            "train": {
                "steps": 500_000,  # at most
                "batch_size": 8,  # episodes, of all devices and processes together
                "optimizer": "adam",  # adam, or muon: a step changes all directions of a weight matrix alike
                "learning_rate": 1e-4,  # about the largest change of a parameter in a step
                "warmup_steps": 0,  # over which the learning rate rises from 0
                "decay": "constant",  # of the learning rate after that: constant, or cosine to 0 at the last step
                "gradient_clip": 0.0,  # largest norm of the gradient; 0: no limit
                "average": 0.0,  # decay of a moving average of the parameters, which is what is evaluated then; 0: none
                # Weights to start from, a file or the name of some that come along; empty: random ones. Those of a
                # network with a half, a third, ... of the features are widened: it predicts the same.
                "start": "",
                "accumulate": 1,  # parts of a batch that are computed one after another, to save memory
                "sigma_squared": 0.05,  # of the loss of images, mse / (2 sigma^2); 0: an image's own: log(mse) / 2
                # Half the loss of segmentations is of sigmoid(sharpness * (output - threshold)); 0: none is.
                "dice_sharpness": 0.0,
                "dice_threshold": 0.5,  # below: masks, which are what is above 0.5, leave out more
            },
            "validation": {
                "every": 2000,  # steps
                "episodes": 8,  # of each task and context size
                "patience": 25,  # rounds without a lower loss, after which training stops
            },
            "checkpoint": {
                "every": 1000,  # steps; besides, there is one at every validation
                "keep": 2,  # the newest ones; the one with the lowest validation loss is kept as well
            },
            "log": {"every": 50},  # steps
            "parallel": {
                "mode": "jit",  # jit: one device; pmap or mesh: all of them, each with a share of the batch
                "context": 1,  # devices that share the context members of an episode (mesh only)
            },
        }
    )
    config.data = default_config()
    with config.data.unlocked():
        # The same number in both places, wherever it is changed.
        config.data.seed = config.get_ref("seed")
        config.data.batch_size = config.train.get_ref("batch_size")
    return config.lock()


if __name__ == "__main__":
    run_experiment(__file__)
