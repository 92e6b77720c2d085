"""Settings of all tests: a cache of compiled programs, `--optimized`, and weights files of tiny models."""

import os
import resource
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# Loaded machines take longer than Hypothesis expects.
settings.register_profile("neuralizer", deadline=None)
settings.load_profile("neuralizer")

# JAX reads these when it is imported. Workers of pytest-xdist and processes that tests start inherit them.
_CACHE = "JAX_COMPILATION_CACHE_DIR"
_IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--optimized", action="store_true", help="run the tests marked optimized with the optimisations of users"
    )


def pytest_configure(config: pytest.Config) -> None:
    if _IS_WORKER:
        return
    os.environ[_CACHE] = tempfile.mkdtemp(prefix="neuralizer-tests-")
    # Tests spend most of their time compiling: small programs are cached too, and most optimisations are left out.
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    if not config.getoption("optimized"):
        os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("optimized"):
        others = [item for item in items if item.get_closest_marker("optimized") is None]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item.get_closest_marker("optimized")]


def pytest_unconfigure() -> None:
    if not _IS_WORKER:
        shutil.rmtree(os.environ[_CACHE], ignore_errors=True)


def draw_params(model, seed=0):
    """Parameters with which the output depends on the input, as it does after training.

    Those of `init_params` are smaller, and the output is nearly constant.
    """
    from flax.traverse_util import unflatten_dict

    from neuralizer_jax.weights import param_shapes

    rng = np.random.default_rng(seed)
    params = {}
    for key, shape in param_shapes(model).items():
        bound = 0.1 if key[-1] == "bias" else (6 / np.prod(shape[:-1])) ** 0.5
        params[key] = rng.uniform(-bound, bound, shape).astype(np.float32)
    return unflatten_dict(params)


@pytest.fixture
def full_disk():
    """While the block lasts, no file can have more than some bytes: writing fails as on a full disk."""

    @contextmanager
    def limited(most=1000):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


@pytest.fixture(scope="session")
def tiny_model():
    from neuralizer_jax.model import Neuralizer

    return Neuralizer(features=4, stages=2)


@pytest.fixture(scope="session")
def tiny_params(tiny_model):
    return draw_params(tiny_model, seed=6)  # a segmentation has pixels on both sides of 0.5


@pytest.fixture(scope="session")
def tiny_weights(tiny_model, tiny_params, tmp_path_factory) -> Path:
    """A release file of `tiny_model`; do not write to it."""
    from neuralizer_jax.weights import save_weights

    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, tiny_model, tiny_params)
    return path


@pytest.fixture(scope="session")
def test_datasets(tmp_path_factory) -> Path:
    """Folder of `fake_collection.DATASETS` with all subjects in split `test`; do not write to it."""
    from fake_collection import write_datasets

    return write_datasets(tmp_path_factory.mktemp("test_datasets"), ["test"])


@pytest.fixture(scope="session")
def split_datasets(tmp_path_factory) -> Path:
    """Folder of `fake_collection.DATASETS` with persons in splits as `prepare` puts them; do not write to it."""
    from fake_collection import write_datasets

    return write_datasets(tmp_path_factory.mktemp("split_datasets"))


@pytest.fixture(scope="session")
def unet_weights(tmp_path_factory) -> Path:
    """A release file of a tiny U-Net baseline; do not write to it."""
    from neuralizer_jax.unet import UNet
    from neuralizer_jax.weights import save_weights

    path = tmp_path_factory.mktemp("weights") / "unet.safetensors"
    model = UNet(features=4, stages=2)
    save_weights(path, model, draw_params(model))
    return path
