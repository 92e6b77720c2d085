"""A prepared dataset is read back subject by subject, in any order, without TensorFlow."""

import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from input_pipeline.slices.record import to_example
from input_pipeline.store.records import SliceStore
from neuralizer_jax.errors import InputError


def test_records_are_read_back_in_any_order(folder, records):
    store = SliceStore(folder)
    assert list(store.subjects()) == list(records)
    split = {subject: name for name in ("train", "val", "test") for subject in store.subjects(name)}
    assert split.keys() == records.keys()
    for subject in reversed(records):
        expected = to_example(replace(records[subject], split=split[subject]))
        for name, value in to_example(store.read(subject)).items():
            np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_the_path_of_the_first_release_is_the_same_class():
    from input_pipeline import slice_store

    assert slice_store.SliceStore is SliceStore


def test_pickled(folder, records):
    store = SliceStore(folder)
    store.read("s0")
    again = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(again.read("s2").images, records["s2"].images)


def test_without_tensorflow(folder):
    code = (
        "import sys; from input_pipeline.store.records import SliceStore; "
        f"print(SliceStore({str(folder)!r}).read('s0').images.shape, 'tensorflow' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split("\n")[0] == "(2, 1, 192, 192) False"


def test_not_a_dataset(tmp_path):
    with pytest.raises(InputError, match="no prepared dataset"):
        SliceStore(tmp_path)


def test_unknown_subject(folder):
    with pytest.raises(KeyError):
        SliceStore(folder).read("s9")


def test_damaged(folder, tmp_path):
    (tmp_path / "1.0.0").mkdir()
    (tmp_path / "1.0.0/dataset_info.json").write_bytes((folder / "1.0.0/dataset_info.json").read_bytes())
    with pytest.raises(InputError, match="damaged"):
        SliceStore(tmp_path)
