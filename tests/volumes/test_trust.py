"""Expected Dice rises with every sign; low ones, and a target unlike its examples, are noted."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from neuralizer_jax.files.label_table import LEAST_DICE
from neuralizer_jax.volumes.alignment import Alignment
from neuralizer_jax.volumes.evidence import Evidence
from neuralizer_jax.volumes.scan import Scan
from neuralizer_jax.volumes.trust import expected_dice
from neuralizer_jax.volumes.volume_prediction import Structure, VolumePrediction

SIGNS = tuple(Evidence.__dataclass_fields__)


def evidence(value):
    return Evidence(**dict.fromkeys(SIGNS, value))


@pytest.mark.parametrize("sign", SIGNS)
def test_no_sign_lowers_what_it_praises(sign):
    for value in (0.3, 0.6, 0.9):
        found = [expected_dice(replace(evidence(value), **{sign: level})) for level in (0.1, 0.5, 0.95)]
        assert found == sorted(found)
        assert all(0 <= x <= 1 for x in found)


def test_good_bad_and_empty():
    assert expected_dice(evidence(0.95)) > 0.85
    assert expected_dice(evidence(0.3)) < 0.4
    assert expected_dice(replace(evidence(0.95), certainty=0.0)) == 0


def structure(label, confidence, *, likeness=1.0, voxels=100, in_view=1.0):
    signs = replace(evidence(0.9), likeness=likeness)
    return Structure(label, voxels, 1.0 * voxels, confidence, signs, SimpleNamespace(in_view=in_view))


def notes(*structures, names=None, scale=1.0, information=0.7):
    scan = Scan(np.arange(8000).reshape(20, 20, 20), np.diag([10, 10, 10, 1]), "sub-09")
    alignment = Alignment(scale * np.eye(4), information)
    return VolumePrediction(np.zeros((1, 1, 1)), {x.label: x for x in structures}, scan, alignment).notes(names)


def test_low_structures_are_named_lowest_first():
    assert notes(structure(17, LEAST_DICE), structure(53, 0.9)) == []
    found = notes(structure(17, 0.5), structure(53, 0.2), structure(10, 0.9), names={17: "left hippocampus"})
    assert [note.partition(" has")[0] for note in found] == ["sub-09: label 53", "sub-09: left hippocampus"]
    assert "0.20" in found[0]


def test_what_was_not_found_has_one_warning():
    assert structure(17, 0.0, voxels=0).warnings == ("was not found",)
    assert structure(17, 0.0, voxels=0, in_view=0.0).warnings == ("lies outside of the scan",)
    assert len(structure(17, 0.3, in_view=0.5).warnings) == 2


def test_many_are_counted():
    found = notes(*(structure(label, 0.3) for label in range(1, 21)))
    assert len(found) == 6
    assert " 15 more" in found[-1]


def test_a_target_that_is_too_small_or_too_large_for_a_head():
    """To MNI152 a small head becomes larger. An alignment that was given is not judged."""
    for scale, litres in ((1.5, "0.6"), (0.8, "3.7")):
        (note,) = notes(structure(17, 0.9), scale=scale)
        assert f"sub-09: its brain has about {litres} litres" in note
        assert notes(structure(17, 0.9), scale=scale, information=None) == []
    assert notes(structure(17, 0.9), scale=1.15) == []


def test_a_target_unlike_the_examples():
    unlike = [structure(label, 0.8, likeness=0.1) for label in (17, 53)]
    (note,) = notes(*unlike)
    assert "resembles the examples little" in note
    assert notes(*unlike, *(structure(label, 0.8) for label in (1, 2, 3))) == []
    # What lies outside of the scan resembles nothing.
    assert (
        len(notes(*(structure(label, 0.0, likeness=0.0, in_view=0.0) for label in (1, 2, 3)), structure(4, 0.9))) == 3
    )
