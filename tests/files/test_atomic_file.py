"""A file is whole or not there, whatever happens and whatever it is called."""

import pytest

from neuralizer_jax.errors import OutputError
from neuralizer_jax.files.atomic_file import replace_folder, written_whole


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_interrupted(tmp_path, error):
    path = tmp_path / "scores.csv"
    path.write_text("before")

    def write():
        with written_whole(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert [each.read_text() for each in tmp_path.iterdir()] == ["before"]


def test_full_disk(tmp_path, full_disk):
    refused = pytest.raises(OutputError, match=r"scores.csv: cannot be written \(File too large\)")
    with full_disk(10), refused, written_whole(tmp_path / "scores.csv") as temporary:
        temporary.write_text("longer than ten bytes")
    assert not list(tmp_path.iterdir())


def test_the_longest_names(tmp_path):
    for name in ("a" * 251 + ".png", "\u8133" * 83 + ".png"):
        with written_whole(tmp_path / name) as temporary:
            assert temporary.suffix == ".png"
            temporary.touch()
        assert (tmp_path / name).exists()


def test_two_writers_have_two_files(tmp_path):
    with written_whole(tmp_path / "a.txt") as one, written_whole(tmp_path / "a.txt") as other:
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "a.txt").read_text() == "one"


def test_a_folder_is_replaced(tmp_path):
    for name in ("new", "final"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    replace_folder(tmp_path / "new", tmp_path / "final")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["final", "final/new"]
