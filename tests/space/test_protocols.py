"""Label numbers keep their structure and their side from one protocol to another."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from input_pipeline.space.protocols import (
    HAMMERS_TO_FREESURFER,
    NEUROMORPHOMETRICS_TO_FREESURFER,
    PROTOCOLS,
    SEGMENTATION_CLASSES,
    fold_freesurfer,
    other_side,
    to_freesurfer,
)
from input_pipeline.space.structure_names import FREESURFER_CLASSES, HAMMERS_CLASSES, NEUROMORPHOMETRICS_CLASSES
from input_pipeline.synthesis.deformation import swap_hemispheres

SIDELESS = (77, *range(251, 256))
# Insula and operculum, which `swap_hemispheres` leaves as they are.
NOT_SWAPPED = (19, 20, 55, 56)
# What FreeSurfer's and SynthSeg's maps hold: aseg, parcels, and the extra-cerebral classes.
VALUES = [
    value
    for block in (range(100), range(130, 256), range(500, 531), range(1000, 1036), range(2000, 2036))
    for value in block
    if value not in (*SIDELESS, *NOT_SWAPPED)
] + [*range(3000, 3036), *range(4000, 4036)]


def fold_one(value):
    return int(fold_freesurfer(np.array([value]))[0])


@pytest.mark.parametrize(
    ("values", "folded"),
    [
        ((3, 1000, 1035, 1999, 11100, 11199, 19, 20), 3),
        ((42, 2000, 2035, 2999, 12100, 12199, 55, 56), 42),
        ((2, 25, 78, 3000, 3999, 5001), 2),
        ((41, 57, 79, 4000, 4999, 5002), 41),
        ((4, 31, 136), 4),
        ((43, 63, 163), 43),
        ((5, 137), 5),
        ((44, 164), 44),
        ((9, 10), 10),
        ((48, 49), 49),
        ((0, 30, 62, 72, 85), 0),
        ((77, 251, 252, 253, 254, 255), 0),
    ],
)
def test_folding(values, folded):
    assert [fold_one(value) for value in values] == [folded] * len(values)


@pytest.mark.parametrize("value", [*FREESURFER_CLASSES, 24, *range(500, 531), 80, 999, 5000, 5003, 11099, 12200, 65535])
def test_others_keep_their_number(value):
    assert fold_one(value) == value


@given(arrays(np.uint16, array_shapes(max_dims=3), elements=st.integers(0, 65535)))
def test_folding_twice_is_folding_once(labels):
    folded = fold_freesurfer(labels)
    assert folded.shape == labels.shape
    assert folded.dtype == np.uint16
    np.testing.assert_array_equal(fold_freesurfer(folded), folded)


@given(arrays(np.uint16, (4, 3), elements=st.sampled_from(VALUES)))
def test_folding_treats_both_sides_alike(labels):
    np.testing.assert_array_equal(fold_freesurfer(swap_hemispheres(labels)), swap_hemispheres(fold_freesurfer(labels)))


@given(arrays(np.uint16, (6, 3, 3), elements=st.sampled_from([0, 2, 41, 77, 251, 255, 3001, 4001])))
def test_white_matter_without_a_side_goes_to_the_nearer_one(labels):
    folded = fold_freesurfer(labels)
    sideless = np.isin(labels, SIDELESS)
    left, right = (np.argwhere(np.isin(labels, values)) for values in ((2, 3001), (41, 4001)))
    if not (len(left) and len(right)):
        assert (folded[sideless] == 0).all()
        return
    to_left, to_right = (np.linalg.norm(np.argwhere(sideless) - part.mean(0), axis=1) for part in (left, right))
    assume((np.abs(to_left - to_right) > 1e-6).all())
    np.testing.assert_array_equal(folded[sideless], np.where(to_left < to_right, 2, 41))
    np.testing.assert_array_equal(fold_freesurfer(swap_hemispheres(labels)), swap_hemispheres(folded))


# --- Hammers and Neuromorphometrics ---


def side_of(name):
    return next((side for side in ("left", "right") if name.startswith(f"{side} ")), None)


@pytest.mark.parametrize("label", HAMMERS_TO_FREESURFER)
def test_a_hammers_structure_stays_on_its_side(label):
    assert side_of(HAMMERS_CLASSES[label]) == side_of(FREESURFER_CLASSES[HAMMERS_TO_FREESURFER[label]])


@pytest.mark.parametrize(
    ("label", "freesurfer"),
    [
        *[(1, 53), (2, 17), (3, 54), (4, 18), (19, 16), (34, 11), (35, 50), (36, 26), (37, 58), (38, 12), (39, 51)],
        *[(40, 10), (41, 49), (42, 13), (43, 52), (45, 43), (46, 4), (47, 44), (48, 5), (49, 14)],
        *[(5, 42), (16, 3), (20, 3), (33, 42), (50, 3), (73, 42), (76, 3), (95, 42)],
    ],
)
def test_hammers_numbers(label, freesurfer):
    assert HAMMERS_TO_FREESURFER[label] == freesurfer


def test_hammers_structures_that_freesurfer_does_not_have():
    assert {*HAMMERS_CLASSES} - {*HAMMERS_TO_FREESURFER} == {17, 18, 44, 74, 75}


def test_neuromorphometrics_sides():
    """Of a gyrus even is right; below 100, of two neighbours that stand for the same on both sides, the first is."""
    for label, freesurfer in NEUROMORPHOMETRICS_TO_FREESURFER.items():
        if label >= 100:
            assert freesurfer == (42 if label % 2 == 0 else 3)
    assert {35: 16, 36: 50, 37: 11, 47: 53, 48: 17, 59: 49, 60: 10}.items() <= NEUROMORPHOMETRICS_TO_FREESURFER.items()


# --- names ---


@pytest.mark.parametrize(
    ("classes", "count"), [(FREESURFER_CLASSES, 31), (HAMMERS_CLASSES, 95), (NEUROMORPHOMETRICS_CLASSES, 157)]
)
def test_every_class_has_a_name_of_its_own(classes, count):
    assert len(classes) == len({*classes.values()}) == count
    lefts = {name.removeprefix("left ") for name in classes.values() if side_of(name) == "left"}
    assert lefts == {name.removeprefix("right ") for name in classes.values() if side_of(name) == "right"}


def test_names():
    assert {17: "left hippocampus", 53: "right hippocampus", 16: "brain stem"}.items() <= FREESURFER_CLASSES.items()
    assert [*HAMMERS_CLASSES] == [*range(1, 96)]
    expected = {1: "right hippocampus", 2: "left hippocampus", 20: "left insula, posterior long gyrus"}
    assert expected.items() <= HAMMERS_CLASSES.items()
    assert {label for label, name in HAMMERS_CLASSES.items() if not side_of(name)} == {19, 44, 49}


def test_neuromorphometrics_names():
    """A name for whatever a label map can hold: what has a counterpart, is drawn, or is a gyrus."""
    known = {*NEUROMORPHOMETRICS_CLASSES}
    assert {*NEUROMORPHOMETRICS_TO_FREESURFER, *SEGMENTATION_CLASSES["neuromorphometrics"]} <= known
    assert {42, 43, 53, 54, 67, 68, *range(100, 208)} <= known
    expected = {4: "third ventricle", 35: "brain stem", 47: "right hippocampus", 48: "left hippocampus"}
    expected |= {23: "right accumbens area", 30: "left accumbens area", 65: "left insula", 66: "right insula"}
    expected |= {75: "left basal forebrain", 100: "right anterior cingulate gyrus", 173: "left posterior insula"}
    expected |= {191: "left superior frontal gyrus", 206: "right transverse temporal gyrus"}
    assert expected.items() <= NEUROMORPHOMETRICS_CLASSES.items()
    assert all(name == name.lower() for name in NEUROMORPHOMETRICS_CLASSES.values())
    assert {label for label, name in NEUROMORPHOMETRICS_CLASSES.items() if not side_of(name)} == {
        *(4, 11, 15, 35, 46, 69, 71, 72, 73)
    }


@pytest.mark.parametrize("label", NEUROMORPHOMETRICS_TO_FREESURFER)
def test_a_neuromorphometrics_structure_stays_on_its_side(label):
    freesurfer = FREESURFER_CLASSES.get(NEUROMORPHOMETRICS_TO_FREESURFER[label])
    name = NEUROMORPHOMETRICS_CLASSES[label]
    assert freesurfer is None or side_of(name) == side_of(freesurfer)
    if freesurfer and label < 65 and "amygdala" not in name:
        assert name == freesurfer


# --- left and right ---


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_other_side_of_the_other_side(protocol):
    table = other_side(protocol)
    np.testing.assert_array_equal(table[table], np.arange(2**16))
    assert {int(table[label]) for label in SEGMENTATION_CLASSES[protocol]} == set(SEGMENTATION_CLASSES[protocol])


@pytest.mark.parametrize(
    ("protocol", "names"),
    [
        ("freesurfer", FREESURFER_CLASSES),
        ("hammers", HAMMERS_CLASSES),
        ("neuromorphometrics", NEUROMORPHOMETRICS_CLASSES),
    ],
)
def test_the_other_side_has_the_other_name(protocol, names):
    for label, name in names.items():
        swapped = {"left": "right", "right": "left"}.get(side_of(name))
        assert names[int(other_side(protocol)[label])] == (name.replace(side_of(name), swapped, 1) if swapped else name)


@pytest.mark.parametrize("protocol", ["hammers", "neuromorphometrics"])
def test_sides_agree_between_protocols(protocol):
    labels = np.array(SEGMENTATION_CLASSES[protocol], np.uint16)
    swapped_first = to_freesurfer(other_side(protocol)[labels], protocol)
    np.testing.assert_array_equal(swapped_first, other_side("freesurfer")[to_freesurfer(labels, protocol)])


@pytest.mark.parametrize("protocol", ["lesion", "tumour"])
def test_lesions_and_tumours_have_no_side(protocol):
    np.testing.assert_array_equal(other_side(protocol), np.arange(2**16))


# --- any protocol ---


def test_maps_in_freesurfers_numbers():
    labels = np.array([[0, 1, 2], [17, 46, 95]], np.uint16)
    np.testing.assert_array_equal(to_freesurfer(labels, "hammers"), [[0, 53, 17], [0, 4, 42]])
    np.testing.assert_array_equal(
        to_freesurfer(np.array([0, 48, 100, 73, 15, 46]), "neuromorphometrics"), [0, 17, 42, 0, 0, 24]
    )
    np.testing.assert_array_equal(to_freesurfer(np.array([1002, 17, 502]), "freesurfer"), [3, 17, 502])


@pytest.mark.parametrize("protocol", [p for p in PROTOCOLS if p not in ("lesion", "tumour")])
@given(labels=arrays(np.uint16, (3, 4), elements=st.integers(0, 65535)))
def test_the_result_is_folded(protocol, labels):
    result = to_freesurfer(labels, protocol)
    assert result.dtype == np.uint16
    np.testing.assert_array_equal(fold_freesurfer(result), result)


@pytest.mark.parametrize("protocol", ["lesion", "tumour", "aal"])
def test_a_protocol_without_anatomy(protocol):
    with pytest.raises(ValueError, match=f"'{protocol}' has no FreeSurfer labels"):
        to_freesurfer(np.zeros((2, 2), np.uint16), protocol)
