"""What is taken for free memory on a CPU."""

import jax
import pytest

from neuralizer_jax.inference import memory
from neuralizer_jax.inference.memory import free_bytes


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """A job with a limit, in it a step without one, where this process is."""
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    own = tmp_path / "own"
    own.write_text("0::/job/step\n")
    monkeypatch.setattr(memory, "_OWN_GROUP", own)
    for folder, limit in (("job", "5000"), ("job/step", "max")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "memory.max").write_text(f"{limit}\n")
        (tmp_path / folder / "memory.current").write_text("3000\n")
        (tmp_path / folder / "memory.stat").write_text("anon 100\ninactive_file 400\n")
    return tmp_path


def test_a_limit_around_the_group_counts_and_cached_files_do_not(groups):
    assert free_bytes(jax.local_devices(backend="cpu")[0]) == 5000 - 3000 + 400


def test_without_a_limit_it_is_the_memory_of_the_machine(groups):
    (groups / "job" / "memory.max").write_text("max\n")
    assert free_bytes(jax.local_devices(backend="cpu")[0]) > 2**20
