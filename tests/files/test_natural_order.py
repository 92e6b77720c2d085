"""Natural order of names."""

from neuralizer_jax.files.natural_order import natural_order


def test_numbers_count_as_numbers():
    assert sorted(["a10", "a2", "a", "b1", "a02", "1"], key=natural_order) == ["1", "a", "a02", "a2", "a10", "b1"]
