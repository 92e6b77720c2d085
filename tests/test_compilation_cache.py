"""The cache of compiled programs: a process that was stopped, or that still writes, spoils nothing."""

import os
import subprocess
import sys

import pytest

PREDICTION = """
from neuralizer_jax import use_compilation_cache
use_compilation_cache()
import jax
print(jax.jit(lambda x: (x * 3).sum())(jax.numpy.arange(5.0)))
"""


def run(folder) -> subprocess.CompletedProcess:
    env = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(folder)}
    return subprocess.run([sys.executable, "-W", "error", "-c", PREDICTION], env=env, capture_output=True, text=True)


@pytest.mark.parametrize("kept", [0, 0.5])
def test_programs_cut_short_are_compiled_again(tmp_path, kept):
    run(tmp_path)
    programs = list(tmp_path.glob("*-cache"))
    assert programs
    for path in programs:
        path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    again = run(tmp_path)
    assert (again.returncode, again.stdout, again.stderr) == (0, "30.0\n", "")
