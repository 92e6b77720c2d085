"""Trains a tiny network on made-up episodes, in a process of its own that tests can kill.

python training_child.py WORKDIR [KEY=VALUE ...]     values of the configuration, or slow=SECONDS a batch
"""

import sys
import time
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

TASKS = ["copy", "invert", "outline"]


def tiny_config(**changes) -> ConfigDict:
    config = ConfigDict(
        {
            "seed": 0,
            "model": {
                "architecture": "neuralizer",
                "features": 4,
                "stages": 2,
                "segmentation_sigmoid": False,
                "dtype": "float32",
                "remat": False,
            },
            "train": {
                "steps": 24,
                "batch_size": 4,
                "optimizer": "adam",
                "learning_rate": 1e-2,
                "warmup_steps": 0,
                "decay": "constant",
                "gradient_clip": 0.0,
                "accumulate": 1,
                "ema_decay": 0.9,
                "init_from": "",
                "sigma_squared": 0.05,
                "dice_sharpness": 0.0,
                "dice_threshold": 0.5,
            },
            "validation": {"every": 8, "patience": 25},
            "checkpoint": {"every": 4, "keep": 2},
            "log": {"every": 4},
            "parallel": {"mode": "jit", "context": 1},
        }
    )
    config.update_from_flattened_dict(changes)
    return config


def batch(step: int, rows: int = 4, members: int = 2, poison: int = -1) -> dict[str, np.ndarray]:
    """The batch of a step: images of a random square, their inverse or outline; NaN in the inputs of one step."""
    rng = np.random.default_rng(step)
    images = np.zeros((rows, 1 + members, 16, 16), np.float32)
    for image in images.reshape(-1, 16, 16):
        top, left = rng.integers(2, 9, 2)
        image[top : top + 5, left : left + 5] = 0.2 + 0.6 * rng.random()
    task = rng.integers(0, 3, rows).astype(np.int32)
    edges = (np.abs(np.diff(images, axis=2, prepend=0)) > 0).astype(np.float32)
    outputs = np.choose(task[:, None, None, None], [images, 1 - images, edges])
    inputs = np.stack([images, np.zeros_like(images), np.zeros_like(images)], -1)
    if step == poison:
        inputs[1] = np.nan
    return {
        "target_in": inputs[:, 0],
        "target_out": outputs[:, 0, ..., None],
        "context_in": inputs[:, 1:],
        "context_out": outputs[:, 1:, ..., None],
        "context_mask": np.ones((rows, members), bool),
        "is_segmentation": task == 2,
        "task": task,
    }


def batches(start: int, slow: float = 0.0, poison: int = -1):
    step = start
    while True:
        time.sleep(slow)
        yield batch(step, poison=poison)
        step += 1


def validation():
    return (batch(10_000 + number, members=members) for number, members in enumerate((1, 2)))


def run(folder: Path, slow: float = 0.0, poison: int = -1, **changes):
    from neuralizer_jax.training.loop import Episodes, train
    from neuralizer_jax.training.work_folder import open_work_folder

    config = tiny_config(**changes)
    with open_work_folder(folder, config) as opened:
        return train(config, opened, Episodes(TASKS, lambda step: batches(step, slow, poison), validation))


if __name__ == "__main__":
    values = {}
    for argument in sys.argv[2:]:
        key, text = argument.split("=")
        values[key] = int(text) if text.isdigit() else float(text) if "." in text else text
    print(run(Path(sys.argv[1]), **values)["ended"])
