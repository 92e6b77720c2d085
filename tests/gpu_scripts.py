"""The scripts of `benchmarks/gpu_train` as modules."""

import importlib.util
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[1] / "benchmarks/gpu_train"


def script(name: str) -> ModuleType:
    """A script of the folder."""
    spec = importlib.util.spec_from_file_location(f"gpu_train_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
