"""A structure has one colour, and structures have different ones."""

import numpy as np
import pytest

from input_pipeline.prepare.label_colours import label_colours, outline_order, structure_names
from input_pipeline.space.protocols import PROTOCOLS, other_side


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_left_and_right_have_one_colour(protocol):
    labels = np.array(list(structure_names(protocol)))
    np.testing.assert_array_equal(
        label_colours(labels, protocol), label_colours(other_side(protocol)[labels], protocol)
    )


@pytest.mark.parametrize("name", ["hippocampus", "thalamus", "brain stem", "lateral ventricle"])
def test_protocols_agree(name):
    colours = [
        label_colours(np.array(label), protocol).tolist()
        for protocol in ("freesurfer", "neuromorphometrics", "hammers")
        for label, other in structure_names(protocol).items()
        if other == name
    ]
    assert len(colours) >= 2
    assert all(colour == colours[0] for colour in colours)


def test_structures_are_distinct_and_background_is_black():
    colours = label_colours(np.array([0, 2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 26, 28, 507, 511, 515]))
    assert (colours[0] == 0).all()
    assert (colours[1:].max(-1) == 255).all()
    assert len(np.unique(colours, axis=0)) == len(colours)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_of_two_structures_the_same_is_higher_on_both_sides(protocol):
    names = structure_names(protocol)
    labels = np.array(list(names))
    own, mirrored = outline_order(labels, protocol), outline_order(other_side(protocol)[labels], protocol)
    different = np.array([[names[a] != names[b] for b in names] for a in names])
    np.testing.assert_array_equal((own[:, None] < own)[different], (mirrored[:, None] < mirrored)[different])
    assert len(set(own.tolist())) == len(labels)
    assert outline_order(np.array(0), protocol) == 0
