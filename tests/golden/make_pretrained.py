"""Writes what PyTorch computes with the weights of the package. Run from the repository root, where torch is installed:

    PYTHONPATH=tests python -m golden.make_pretrained

`pretrained_NAME.npz` holds, for every task of `pretrained_episode`, the prediction [S, S] computed in float64 by the
published architecture, and under `versions` what computed it.
"""

import json
import sys

import numpy as np
import torch
from golden.golden_weights import FOLDER
from golden.pretrained_episode import TASKS, draw_episode
from safetensors import safe_open
from torch_twin import NeuralizerTwin

from neuralizer_jax.weights.pretrained import PRETRAINED


def load_twin(path):
    """The published architecture with the weights of a file, in float64, and the file's description of the model."""
    with safe_open(path, framework="pt") as file:
        config = json.loads(file.metadata()["neuralizer_jax"])
        state = {key: file.get_tensor(key).double() for key in file.keys()}  # noqa: SIM118 (not a dict)
    twin = NeuralizerTwin(
        dim=config["dim"],
        stages=config["stages"],
        in_channels=config["in_channels"],
        out_channels=config["out_channels"],
        inner_channels=config["features"],
        conv_layers=config["convs"],
    ).double()
    twin.load_state_dict(state)
    return twin, config


def channels(images, count):
    """[N, S, S] -> [1, N, count, S, S]: the image, and zeros in the other channels."""
    padded = torch.zeros(1, len(images), count, *images.shape[1:], dtype=torch.float64)
    padded[0, :, 0] = torch.from_numpy(images)
    return padded


@torch.no_grad()
def prediction(twin, config, task):
    """What `predict` has to return as the mean: float32 [S, S]."""
    episode = draw_episode(task)
    output = twin(
        channels(episode.context_in, config["in_channels"]),
        channels(episode.context_out, config["out_channels"]),
        channels(episode.target_in[None], config["in_channels"])[:, 0],
    )[0, 0]
    if task == "segmentation":
        output = torch.sigmoid(output) if config["segmentation_sigmoid"] else output.clip(0, 1)
    return output.numpy().astype(np.float32)


if __name__ == "__main__":
    versions = {"torch": torch.__version__, "numpy": np.__version__, "python": sys.version.split()[0]}
    for name, path in PRETRAINED.items():
        arrays = {task: prediction(*load_twin(path), task) for task in TASKS}
        np.savez_compressed(FOLDER / f"pretrained_{name}.npz", versions=np.array(json.dumps(versions)), **arrays)
        print(f"pretrained_{name}.npz: {', '.join(f'{task} {array.std():.3f}' for task, array in arrays.items())}")
