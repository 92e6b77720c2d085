"""All keys of an experiment, with units and defaults. The other experiments start from this one and change a few keys.

    neuralizer episodes --config experiments/base.py --data data/phantom     draws training episodes

Values are those of the paper (Czolbe and Dalca, CVPR 2023, section 4.3) where it states them.
"""

from ml_collections import ConfigDict

from input_pipeline.episodes.config import default_config
from neuralizer_jax.cli.experiment_file import run_file


def get_config() -> ConfigDict:
    """The configuration. `input_pipeline/episodes/config.py` lists the keys of `data`."""
    config = ConfigDict(
        {
            "seed": 0,  # of the initial parameters and of all random numbers of the episodes
            "model": {
                "architecture": "neuralizer",  # neuralizer, or unet: the baseline without context
                "features": 64,  # channels of every stage
                "stages": 4,  # resolutions
                "segmentation_sigmoid": False,  # whether the output for a segmentation is a logit
                "dtype": "float32",  # of the computation, or bfloat16; parameters, context mean and loss are float32
                "remat": False,  # recompute activations in the backward pass: less memory, more time
            },
            "train": {
                "steps": 500_000,  # at most
                "batch_size": 8,  # episodes, over all devices and processes
                "optimizer": "adam",  # adam or muon
                "learning_rate": 1e-4,  # its largest value
                "warmup_steps": 0,  # over which the learning rate rises linearly
                "decay": "constant",  # of the learning rate after the warm-up: constant, or cosine to 0 at `steps`
                "gradient_clip": 0.0,  # largest norm of the gradient; 0: no limit
                "ema_decay": 0.0,  # of the moving average of the parameters that is validated and exported; 0: none
                # Initial weights: a file or the name of shipped weights; empty: random. Weights with a half, a third,
                # ... of the features are widened so that they predict the same.
                "init_from": "",
                "accumulate": 1,  # parts that a batch is split into to save memory; their gradients are averaged
                "sigma_squared": 0.05,  # of the image loss mse / (2 sigma^2); 0: log(mse) / 2
                # Half of the segmentation loss is computed on sigmoid(sharpness * (output - threshold)); 0: no part.
                "dice_sharpness": 0.0,
                "dice_threshold": 0.5,  # a lower one makes masks, thresholded at 0.5, smaller
            },
            "validation": {
                "every": 2000,  # steps; there is also one after the last step; 0: never
                "episodes": 8,  # for each task and context size
                "patience": 25,  # validations without a lower loss before training stops
            },
            "checkpoint": {
                "every": 1000,  # steps; there is also one at each validation
                "keep": 2,  # the newest ones; the one with the lowest validation loss is kept as well
            },
            "log": {"every": 50},  # steps
            "parallel": {
                "mode": "jit",  # jit: one device; pmap or mesh: all devices, each with a share of the batch
                "context": 1,  # devices that share the context pairs of an episode (mesh only)
            },
        }
    )
    config.data = default_config()
    with config.data.unlocked():
        # References, so that a change of either key changes both.
        config.data.seed = config.get_ref("seed")
        config.data.batch_size = config.train.get_ref("batch_size")
    return config.lock()


if __name__ == "__main__":
    run_file("train", __file__)
