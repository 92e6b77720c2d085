"""Left and right structures of every protocol belong together."""

import numpy as np
import pytest

from input_pipeline.space.protocol_sides import SEGMENTATION_CLASSES, other_side
from input_pipeline.space.protocols import FREESURFER_CLASSES, HAMMERS_CLASSES, PROTOCOLS, to_freesurfer


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_twice_is_the_same(protocol):
    table = other_side(protocol)
    np.testing.assert_array_equal(table[table], np.arange(2**16))
    assert {int(table[label]) for label in SEGMENTATION_CLASSES[protocol]} == set(SEGMENTATION_CLASSES[protocol])


@pytest.mark.parametrize(("protocol", "names"), [("freesurfer", FREESURFER_CLASSES), ("hammers", HAMMERS_CLASSES)])
def test_names_say_so(protocol, names):
    for label, name in names.items():
        swapped = name.replace("left", "LEFT").replace("right", "left").replace("LEFT", "right")
        assert names[int(other_side(protocol)[label])] == swapped


@pytest.mark.parametrize("protocol", ["hammers", "neuromorphometrics"])
def test_protocols_agree(protocol):
    labels = np.array(SEGMENTATION_CLASSES[protocol], np.uint16)
    swapped_first = to_freesurfer(other_side(protocol)[labels], protocol)
    np.testing.assert_array_equal(swapped_first, other_side("freesurfer")[to_freesurfer(labels, protocol)])


@pytest.mark.parametrize("protocol", ["lesion", "tumour"])
def test_no_sides(protocol):
    np.testing.assert_array_equal(other_side(protocol), np.arange(2**16))
