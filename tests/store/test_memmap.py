"""The unpacked slices are those of the records, and follow the dataset."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from input_pipeline.store.memmap import open_unpacked
from neuralizer_jax.errors import InputError


def test_slices_are_those_of_the_records(folder, records):
    unpacked = open_unpacked(folder)
    assert (len(unpacked.images), len(unpacked.labels), len(unpacked.masks)) == (14, 7, 7)
    for number, record in enumerate(records.values()):
        slices = len(record.y)
        for place in range(2):
            first = unpacked.first_image[number] + place * slices
            np.testing.assert_array_equal(unpacked.images[first : first + slices], record.images[place])
        first = unpacked.first_labels[number]
        np.testing.assert_array_equal(unpacked.labels[first : first + slices], record.labels[0])
        first = unpacked.first_mask[number]
        np.testing.assert_array_equal(unpacked.masks[first : first + slices], record.brain_mask)


def test_unpacked_once(another):
    open_unpacked(another)
    before = (another / "unpacked/images.npy").stat().st_mtime_ns
    open_unpacked(another)
    assert (another / "unpacked/images.npy").stat().st_mtime_ns == before
    assert [path.name for path in another.glob(".*")] == [".unpacked.lock"]


def test_unpacked_again_when_the_dataset_is_another(another, rewrite):
    assert len(open_unpacked(another).images) == 6
    rewrite(another, slices=(2, 1, 1))
    assert len(open_unpacked(another).images) == 8


@pytest.mark.parametrize("name", ["images", "labels", "masks"])
def test_damaged(another, name):
    open_unpacked(another)
    path = another / f"unpacked/{name}.npy"
    np.save(path, np.load(path)[:1])
    with pytest.raises(InputError, match="is damaged; delete it"):
        open_unpacked(another)
    path.write_bytes(b"no array")
    with pytest.raises(InputError, match="cannot be read"):
        open_unpacked(another)


@pytest.fixture
def read_only(monkeypatch):
    """Makes folders read-only, for root too."""
    opened, folders = Path.open, []

    def checked(path, mode="r", *arguments, **options):
        if any(folder in path.parents for folder in folders) and set(mode) & set("wax+"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return opened(path, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", checked)
    return folders.append


class TestReadOnly:
    @pytest.fixture(autouse=True)
    def cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        return tmp_path / "cache/neuralizer_jax/unpacked"

    def test_unpacked_in_the_cache_once(self, another, folder, cache, read_only):
        expected = open_unpacked(folder).images
        read_only(another)
        unpacked = open_unpacked(another)
        np.testing.assert_array_equal(unpacked.images[0], expected[0])
        assert not (another / "unpacked").exists()
        (made,) = cache.glob("*/images.npy")
        before = made.stat().st_mtime_ns
        open_unpacked(another)
        assert made.stat().st_mtime_ns == before

    def test_what_lies_beside_it_is_used(self, another, cache, read_only):
        open_unpacked(another)
        read_only(another)
        open_unpacked(another)
        assert not cache.exists()

    def test_a_cache_that_was_not_used_for_long_is_deleted(self, another, cache, read_only):
        old, new = cache / "old/dataset.txt", cache / "new/dataset.txt"
        for path, days in ((old, 40), (new, 20)):
            path.parent.mkdir(parents=True)
            path.touch()
            os.utime(path, times=2 * (path.stat().st_mtime - days * 24 * 3600,))
        read_only(another)
        open_unpacked(another)
        assert not old.parent.exists()
        assert new.exists()

    def test_no_place_at_all(self, another, tmp_path, cache, read_only):
        read_only(tmp_path)
        with pytest.raises(InputError, match=r"cannot be written, expected .*: set XDG_CACHE_HOME to one with 0\.0 GB"):
            open_unpacked(another)

    def test_no_home(self, another, monkeypatch, read_only):
        monkeypatch.setattr("input_pipeline.store.memmap.user_cache", lambda: Path("~nobody-of-this-name").expanduser())
        read_only(another)
        with pytest.raises(InputError, match="set XDG_CACHE_HOME"):
            open_unpacked(another)


def test_full_disk(another, full_disk):
    with full_disk(), pytest.raises(InputError, match=r"unpacked: cannot be written \(File too large\), expected free"):
        open_unpacked(another)
    assert not (another / "unpacked").exists()
    assert [path.name for path in another.glob(".*")] == [".unpacked.lock"]
    assert len(open_unpacked(another).images) == 6


def test_what_a_killed_process_left_is_deleted(another):
    (another / ".0a0a0a0a-unpacked").mkdir()
    open_unpacked(another)
    assert [path.name for path in another.glob(".*")] == [".unpacked.lock"]
