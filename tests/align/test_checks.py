"""Checks of aligned subjects name what is wrong."""

import numpy as np
import pytest

from input_pipeline.align.checks import check_inside_grid, check_mask_agrees, check_slice_structures
from input_pipeline.space.grid import AFFINE, coronal_image, coronal_index
from input_pipeline.synthesis.phantom import phantom_label_map
from input_pipeline.synthesis.template import template_brain_mask
from neuralizer_jax.errors import InputError


@pytest.fixture(scope="module")
def labels():
    return phantom_label_map()


def test_the_phantom_passes(labels):
    check_inside_grid(labels[::4, ::4, ::4], AFFINE @ np.diag([4, 4, 4, 1]), np.eye(4))
    check_slice_structures(coronal_image(labels, coronal_index(-17)))


def test_a_brain_that_reaches_out_of_the_grid(labels):
    shift = np.eye(4)
    shift[0, 3] = 60
    with pytest.raises(InputError, match="of the brain lie outside"):
        check_inside_grid(labels[::4, ::4, ::4], AFFINE @ np.diag([4, 4, 4, 1]), shift)


def test_a_slice_elsewhere(labels):
    with pytest.raises(InputError, match="no brain stem and no hippocampus and no thalamus"):
        check_slice_structures(coronal_image(labels, coronal_index(40)))


def test_a_mask_elsewhere():
    template = template_brain_mask([coronal_index(-17)])
    check_mask_agrees(template, template)
    with pytest.raises(InputError, match=r"Dice of 0.* with the template's, expected at least 0\.75"):
        check_mask_agrees(np.roll(template, 60, axis=2), template)
