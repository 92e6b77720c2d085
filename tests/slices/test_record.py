"""A record keeps all it holds through the formats it is stored in."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from input_pipeline.slices.record import SubjectRecord, dequantize, from_example, quantize, to_example


def record(**changes):
    rng = np.random.default_rng(0)
    original = SubjectRecord(
        dataset="ixi", subject="IXI002-Guys-0828", person="IXI002", split="train", age=35.8, sex="F",
        y=np.array([-17, -13], np.int16), modalities=("T1", "DTI-00"),
        images=rng.integers(0, 65536, (2, 2, 192, 192)).astype(np.uint16), coverage=np.ones((2, 2), np.float32),
        to_mni=np.stack([np.eye(4), 2 * np.eye(4)]), protocols=("freesurfer",),
        labels=rng.integers(0, 80, (1, 2, 192, 192)).astype(np.uint16), label_sources=("found",),
        brain_mask=rng.random((2, 192, 192)) > 0.5, mask_source="mri_synthstrip", skull_stripped=False,
        alignment="centroids", residual_mm=2.5, mutual_information=None,
    )  # fmt: skip
    return replace(original, **changes)


def assert_same(one, other):
    for field in fields(SubjectRecord):
        value, expected = getattr(one, field.name), getattr(other, field.name)
        assert type(value) is type(expected), field.name
        np.testing.assert_array_equal(value, expected, err_msg=field.name)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"age": None, "sex": None, "residual_mm": None},
        {"protocols": (), "label_sources": (), "labels": np.zeros((0, 2, 192, 192), np.uint16)},
    ],
)
def test_round_trip(changes, tmp_path):
    original = record(**changes)
    assert_same(from_example(to_example(original)), original)
    np.savez(tmp_path / "record.npz", **to_example(original))
    with np.load(tmp_path / "record.npz", allow_pickle=False) as file:
        assert_same(from_example(dict(file)), original)


def test_texts_may_be_bytes():
    example = to_example(record())
    for name, value in example.items():
        if isinstance(value, str):
            example[name] = value.encode()
        elif isinstance(value, list):
            example[name] = [text.encode() for text in value]
    assert_same(from_example(example), record())


@given(hnp.arrays(np.float32, 20, elements=st.floats(0, 1, width=32)))
def test_quantisation_is_finer_than_any_scanner(image):
    assert np.abs(dequantize(quantize(image)) - image).max() < 1e-5


def test_quantisation_clips():
    np.testing.assert_array_equal(quantize(np.array([-0.5, 0, 1, 7])), [0, 0, 65535, 65535])


def test_image_of_a_modality():
    original = record()
    np.testing.assert_array_equal(original.image("DTI-00", 1), original.images[1, 1] / np.float32(65535))
    with pytest.raises(ValueError, match="tuple"):
        original.image("T2")
