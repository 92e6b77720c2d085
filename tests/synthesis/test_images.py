"""Synthesised images look like their modality: order of the tissues, range, noise, and nothing outside of the brain."""

import numpy as np
import pytest

from input_pipeline.space.modalities import MODALITIES
from input_pipeline.space.tissue_classes import CLASSES
from input_pipeline.synthesis.contrasts import class_means, class_spreads
from input_pipeline.synthesis.images import DTI_DIRECTIONS, brain_mask, synthesize_image

WHITE, GREY, FLUID, NUCLEUS, BONE, SCALP, ARTERY = 2, 3, 4, 10, 515, 511, 502

# Darkest to brightest.
ORDER = {
    "T1": (BONE, FLUID, GREY, WHITE),
    "T2": (BONE, WHITE, GREY, FLUID),
    "PD": (BONE, WHITE, GREY, FLUID),
    "MRA": (FLUID, WHITE, ARTERY),
    "FLAIR": (FLUID, WHITE, GREY),
    "ADC": (WHITE, GREY, FLUID),
    "DWI": (BONE, FLUID, WHITE, GREY),
    "DTI": (FLUID, WHITE, GREY),
}


def head(planes=3):
    """A head of nested boxes, `[96, planes, 96]`, from scalp to ventricle, and an artery."""
    labels = np.zeros((96, planes, 96), np.uint16)
    for margin, value in ((6, SCALP), (12, BONE), (16, 24), (20, GREY), (28, WHITE), (38, NUCLEUS), (43, FLUID)):
        labels[margin:-margin, :, margin:-margin] = value
    labels[7:10, :, 45:51] = ARTERY
    return labels


def image_of(modality, seed=0, **options):
    return synthesize_image(head(), modality, seed=seed, direction=4 if modality == "DTI" else None, **options)


def means_of(image, values, labels=None):
    """Mean of the image over the inner voxels of each label."""
    labels = head() if labels is None else labels
    return np.array([image[labels == value].mean() for value in values])


@pytest.mark.parametrize("skull_stripped", [False, True])
@pytest.mark.parametrize("modality", MODALITIES)
def test_images_are_finite_in_range_and_reproducible(modality, skull_stripped):
    image = image_of(modality, skull_stripped=skull_stripped)
    assert image.shape == head().shape
    assert image.dtype == np.float32
    assert np.isfinite(image).all()
    assert image.min() >= 0
    assert image.max() <= 1
    assert image.max() > 0.4
    np.testing.assert_array_equal(image, image_of(modality, skull_stripped=skull_stripped))
    assert (image != image_of(modality, 1, skull_stripped=skull_stripped)).any()


@pytest.mark.parametrize("modality", MODALITIES)
def test_tissues_are_in_the_modality_s_order(modality):
    for seed in range(6):
        means = means_of(image_of(modality, seed), ORDER[modality])
        assert (np.diff(means) > 0.01).all(), (modality, seed, means)


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_table_has_a_mean_and_a_spread_for_each_class(modality):
    means, spreads = class_means(modality), class_spreads(modality)
    assert means.shape == spreads.shape == (len(CLASSES),)
    assert ((means[1:] > 0) & (means[1:] < 1)).all()
    assert ((spreads[1:] > 0) & (spreads[1:] < 0.2)).all()
    assert means[0] == 0


def test_two_subjects_of_a_modality_are_closer_than_two_modalities():
    values = (WHITE, GREY, FLUID, NUCLEUS, BONE, SCALP)
    signatures = {m: np.array([means_of(image_of(m, seed), values) for seed in range(5)]) for m in ORDER}
    for modality, subjects in signatures.items():
        within = np.linalg.norm(subjects[:, None] - subjects, axis=-1).sum(1) / 4
        for other in set(ORDER) - {modality}:
            # A diffusion-weighted image and one direction of a diffusion series are the same sequence.
            if {modality, other} != {"DWI", "DTI"}:
                between = np.linalg.norm(subjects[:, None] - signatures[other], axis=-1).mean(1)
                assert (between > within).all(), (modality, other)


def test_skull_stripped_images_are_zero_outside_of_the_brain():
    labels = head()
    mask = brain_mask(labels)
    for modality in MODALITIES:
        image = image_of(modality, skull_stripped=True)
        assert (image[~mask] == 0).all()
        assert (image[mask] > 0).mean() > 0.99
    assert mask[np.isin(labels, (WHITE, GREY, FLUID, NUCLEUS))].all()
    assert not mask[np.isin(labels, (0, BONE, SCALP, ARTERY))].any()
    # CSF counts near the brain only.
    assert 0.2 < mask[labels == 24].mean() < 0.8


def test_noise_is_in_the_air_of_full_heads_as_rician_noise_is():
    air = image_of("T1")[:4]
    assert air.min() >= 0
    assert 0.005 < air.mean() < 0.06


def test_diffusion_directions_differ_in_white_matter_and_agree_in_csf():
    images = np.array([synthesize_image(head(), "DTI", seed=2, direction=d) for d in range(DTI_DIRECTIONS)])
    spread = [images[:, head() == value].std(0).mean() for value in (WHITE, FLUID)]
    assert spread[0] > 1.3 * spread[1]
    assert abs(images[0] - images[9]).max() > 0.05
    assert images[:, head() == WHITE].mean(1).std() < 0.1


@pytest.mark.parametrize(("modality", "direction"), [("DTI", None), ("DTI", DTI_DIRECTIONS), ("T1", 0)])
def test_directions_are_checked(modality, direction):
    with pytest.raises(ValueError, match="direction"):
        synthesize_image(head(), modality, seed=0, direction=direction)


def test_unknown_modalities_are_refused():
    with pytest.raises(ValueError, match="T1"):
        synthesize_image(head(), "CT", seed=0)


def test_coronal_images_can_be_synthesised_too():
    image = synthesize_image(head()[:, 1].T, "T2", seed=3)
    assert image.shape == (96, 96)
    assert (np.diff(means_of(image, ORDER["T2"], head()[:, 1].T)) > 0).all()
