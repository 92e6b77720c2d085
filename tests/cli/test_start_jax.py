"""What the environment may ask of JAX: devices that are not there, settings that would change results, no home."""

import os
import subprocess
import sys

import jax
import pytest

from neuralizer_jax import InputError
from neuralizer_jax.cli.start_jax import start_jax

NORMAL = "import jax; from neuralizer_jax.cli.start_jax import start_jax; start_jax(); key = jax.random.key(3); "
NORMAL += "print(jax.random.normal(key, (4,)).tolist())"


def started(**environment):
    """A process of its own: JAX reads its environment once."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XDG_"))}
    process = subprocess.run(
        [sys.executable, "-c", NORMAL], env=settings | environment, capture_output=True, text=True, timeout=120
    )
    assert process.returncode == 0, process.stderr
    return process.stdout, process.stderr


def test_settings_that_would_change_results_are_set_back(tmp_path):
    home = {"HOME": str(tmp_path)}
    expected, said = started(**home)
    assert said == ""
    changes = {"JAX_ENABLE_X64": "1", "JAX_DEFAULT_PRNG_IMPL": "rbg", "JAX_NUMPY_RANK_PROMOTION": "raise"}
    got, said = started(**home, **changes)
    assert got == expected
    assert [line.split()[2] for line in said.splitlines()] == list(changes)
    assert any((tmp_path / ".cache/neuralizer_jax").iterdir())


def test_without_a_home_nothing_is_kept(tmp_path):
    (tmp_path / "file").touch()
    for home in ("/nonexistent", str(tmp_path / "file")):
        started(HOME=home)


@pytest.mark.parametrize("variable", ["JAX_PLATFORMS", "JAX_PLATFORM_NAME"])
@pytest.mark.parametrize("error", [AssertionError(), RuntimeError("Unknown backend:\nno cuda")])
def test_a_device_that_is_not_there(monkeypatch, variable, error):
    def no_devices():
        raise error

    monkeypatch.setenv(variable, "cuda")
    monkeypatch.setattr(jax, "devices", no_devices)
    with pytest.raises(InputError, match=f"{variable}=cuda: this machine has no such device") as raised:
        start_jax()
    assert "\n" not in str(raised.value)


def test_a_user_without_an_entry_in_the_password_file(monkeypatch, tmp_path):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pathlib.Path.home", no_home)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    before = jax.config.values["jax_compilation_cache_dir"]
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        start_jax()
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    assert list(tmp_path.iterdir()) == []
