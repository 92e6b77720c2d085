"""The examples in docstrings give what they say."""

import doctest
import importlib
import pkgutil

import pytest

import input_pipeline
import neuralizer_jax

# These import TensorFlow.
_SKIPPED = {"input_pipeline.episodes.tf_data", "neuralizer_jax.__main__"}

MODULES = [
    module.name
    for package in (input_pipeline, neuralizer_jax)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if module.name not in _SKIPPED
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not failed
