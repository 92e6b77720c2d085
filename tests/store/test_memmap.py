"""The unpacked slices are those of the records, and follow the dataset."""

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
    assert not list(another.glob(".unpacked*"))


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
