"""Checks of aligned subjects name what is wrong."""

import numpy as np
import pytest

from input_pipeline.align.checks import (
    check_few_structures,
    check_information,
    check_inside_grid,
    check_mask_agrees,
    check_mask_has_labels,
    check_slice_structures,
    shows_whole_brain,
)
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


def test_a_mask_beside_the_labels():
    template = template_brain_mask([coronal_index(-17)])
    check_mask_has_labels(template, template)
    with pytest.raises(InputError, match="the labels do not lie on the image"):
        check_mask_has_labels(np.roll(template, 60, axis=2), template)


def test_whole_brain(labels):
    brain = np.where(labels < 500, labels, 0)
    assert shows_whole_brain(brain)
    assert not shows_whole_brain(np.where(np.isin(brain, (2, 41)), 0, brain))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({17: 17, 53: 53}, None),
        ({10: 10, 49: 49, 16: 16, 43: 43}, None),
        ({17: 53, 53: 17}, "its left hippocampus lies"),
        ({2: 2, 41: 3}, "holds the values 2, 3,"),  # tissue classes
        ({2: 1, 3: 2, 41: 17}, "holds the values 1, 2, 17,"),
        ({2: 9170}, "holds the values 9170,"),
        ({}, "shows no structure"),
    ],
)
def test_few_structures(labels, change, reason):
    coarse = labels[::4, ::4, ::4]
    values = np.zeros_like(coarse)
    for label, value in change.items():
        values[coarse == label] = value
    affine = AFFINE @ np.diag([4, 4, 4, 1])
    if reason is None:
        check_few_structures(values, affine, np.eye(4))
    else:
        with pytest.raises(InputError, match=reason):
            check_few_structures(values, affine, np.eye(4))


def test_little_in_common_with_the_template():
    check_information(0.68, "T1")
    check_information(0.15, "FLAIR")
    for value, modality in ((0.03, "T1"), (0.18, "T1"), (0.05, "FLAIR")):
        with pytest.raises(InputError, match="mutual information"):
            check_information(value, modality)
