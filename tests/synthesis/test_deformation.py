"""Warps are smooth, invertible and reproducible; reflection exchanges left and right."""

import numpy as np
import pytest

from input_pipeline.synthesis.deformation import (
    Growth,
    displacement_at,
    random_svf_warp,
    swap_hemispheres,
    warp_labels,
)

SHAPE = (64, 72, 56)


def jacobian_determinant(warp):
    """Local change of volume at each voxel: 1 is none; positive everywhere where nothing folds over."""
    gradient = np.stack([np.stack(np.gradient(part)) for part in displacement_at(warp)])
    return np.linalg.det(np.moveaxis(gradient, (0, 1), (-2, -1)) + np.eye(len(warp.shape), dtype=np.float32))


def random_labels(shape=SHAPE):
    values = np.array([0, 2, 41, 3, 42, 17, 53, 16, 1012, 2012, 515], np.uint16)
    return np.random.default_rng(0).choice(values, shape)


def test_the_same_seed_gives_the_same_warp_and_another_another():
    first, again, other = (random_svf_warp(SHAPE, seed, 5).displacement for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1


@pytest.mark.parametrize("amplitude", [2, 5, 8])
@pytest.mark.parametrize("seed", [0, 1])
def test_nothing_folds_and_no_voxel_moves_farther_than_the_amplitude(amplitude, seed):
    warp = random_svf_warp((96, 112, 96), seed, amplitude)
    length = np.sqrt((displacement_at(warp) ** 2).sum(0))
    assert 0.5 * amplitude < length.max() <= amplitude * 1.0001
    assert jacobian_determinant(warp).min() > 0.1


def test_zero_amplitude_is_the_identity():
    labels = random_labels()
    np.testing.assert_array_equal(warp_labels(labels, random_svf_warp(SHAPE, 1, 0)), labels)


def test_a_region_is_what_the_whole_volume_has_there():
    labels, warp = random_labels(), random_svf_warp(SHAPE, 2, 5)
    matrix = np.column_stack([np.eye(3) * 1.03, [1, -2, 0.5]])
    region = (slice(None), slice(30, 33), slice(4, 50))
    np.testing.assert_array_equal(
        warp_labels(labels, warp, region, matrix), warp_labels(labels, warp, None, matrix)[region]
    )


def test_coronal_images_can_be_warped_too():
    labels = random_labels((192, 192))
    warped = warp_labels(labels, random_svf_warp(labels.shape, 2, 6))
    assert warped.shape == labels.shape
    assert warped.dtype == labels.dtype
    assert 0.2 < (warped != labels).mean() < 1


def test_growth_enlarges_what_is_at_its_centre():
    box = np.zeros((64, 64), np.uint16)
    box[26:38, 26:38] = 4
    areas = [
        (warp_labels(box, random_svf_warp(box.shape, 0, 0, (Growth((31.5, 31.5), (12, 12), rate),))) == 4).sum()
        for rate in (-0.4, 0, 0.4)
    ]
    assert areas[0] < 0.7 * areas[1]
    assert areas[2] > 1.4 * areas[1]


def test_labels_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="expected"):
        warp_labels(random_labels(), random_svf_warp((64, 64, 64), 0, 1))


def test_swapping_twice_gives_the_labels_back():
    labels = random_labels()
    np.testing.assert_array_equal(swap_hemispheres(swap_hemispheres(labels)), labels)
    image = labels[:, 3]
    np.testing.assert_array_equal(swap_hemispheres(swap_hemispheres(image, axis=1), axis=1), image)


def test_swapping_reflects_and_renames():
    labels = np.array([[2, 17, 1012, 16, 0, 0]], np.uint16)
    np.testing.assert_array_equal(swap_hemispheres(labels, axis=1), [[0, 0, 16, 2012, 53, 41]])
    assert swap_hemispheres(labels, axis=1).dtype == np.uint16


def test_swapping_works_on_small_types():
    labels = np.array([2, 10, 43], np.uint8)
    np.testing.assert_array_equal(swap_hemispheres(labels), np.array([4, 49, 41], np.uint8))
