"""What all tests share: compiled programs outside of the user's cache, and a tiny model's weights file."""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# How long an example takes is the machine's affair.
settings.register_profile("neuralizer", deadline=None)
settings.load_profile("neuralizer")

# JAX reads this when it is imported, and the processes that tests start inherit it: so do pytest-xdist's workers.
_PROGRAMS = "JAX_COMPILATION_CACHE_DIR"
_IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if not _IS_WORKER:
    os.environ[_PROGRAMS] = tempfile.mkdtemp(prefix="neuralizer-tests-")
    # Compiling is most of the time that tests take: small programs are kept too, and none is optimised much.
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")


def pytest_unconfigure() -> None:
    if not _IS_WORKER:
        shutil.rmtree(os.environ[_PROGRAMS], ignore_errors=True)


def draw_params(model, seed=0):
    """Parameters with which the output depends on the input, as that of a trained model does.

    Fresh ones (`init_params`) are smaller, and the output is nearly constant.
    """
    from flax.traverse_util import unflatten_dict

    from neuralizer_jax.weights import param_shapes

    rng = np.random.default_rng(seed)
    params = {}
    for key, shape in sorted(param_shapes(model).items()):
        bound = 0.1 if key[-1] == "bias" else (6 / np.prod(shape[:-1])) ** 0.5
        params[key] = rng.uniform(-bound, bound, shape).astype(np.float32)
    return unflatten_dict(params)


@pytest.fixture(scope="session")
def tiny_model():
    from neuralizer_jax.model import Neuralizer

    return Neuralizer(features=4, stages=2)


@pytest.fixture(scope="session")
def tiny_params(tiny_model):
    return draw_params(tiny_model, seed=6)  # both sides of 0.5 in a segmentation


@pytest.fixture(scope="session")
def tiny_weights(tiny_model, tiny_params, tmp_path_factory) -> Path:
    """A release file of `tiny_model`; do not write to it."""
    from neuralizer_jax.weights import save_weights

    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, tiny_model, tiny_params)
    return path


@pytest.fixture(scope="session")
def unet_weights(tmp_path_factory) -> Path:
    """A release file of a tiny U-Net baseline; do not write to it."""
    from neuralizer_jax.unet import UNet
    from neuralizer_jax.weights import save_weights

    path = tmp_path_factory.mktemp("weights") / "unet.safetensors"
    model = UNet(features=4, stages=2)
    save_weights(path, model, draw_params(model))
    return path
