"""The spatial augmentation moves what it says where it says, never folds, and at zero changes nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_collections import ConfigDict
from scipy import ndimage

from input_pipeline.ops.spatial import (
    DEFAULTS,
    sample_transform,
    sampling_grid,
    warp_image,
    warp_labels,
    warp_mask,
)
from neuralizer_jax.errors import InputError

SIZE = 52


def warp(image, mask, labels, places):
    return warp_image(image, places), warp_mask(mask, places), warp_labels(labels, places)


STILL = {
    "affine_probability": 1.0,
    "rotation": (0.0, 0.0),
    "translation": (0.0, 0.0),
    "scale": (1.0, 1.0),
    "shear": (0.0, 0.0),
    "elastic_probability": 1.0,
    "amplitude": (0.0, 0.0),
    "spacing": (20.0, 20.0),
}
seeds = st.integers(0, 2**31 - 1)


def transform(seed=0, **changes):
    return sample_transform(jax.random.key(seed), ConfigDict(STILL | changes))


def always(part, **changes):
    return ConfigDict(DEFAULTS[part] | {"affine_probability": 1.0, "elastic_probability": 1.0} | changes)


def pictures(size=SIZE, seed=0):
    """An image, a mask, a label map."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.random((2, size, size)), (0, 3, 3))
    smooth = ((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)
    labels = (smooth[1] * 6).astype(np.int32)
    return jnp.asarray(smooth[0]), jnp.asarray(labels == 3, jnp.float32), jnp.asarray(labels)


def moved_labels(shared, own, labels):
    image, mask, _ = pictures(len(labels))
    return np.asarray(moved(shared, own, image, mask, jnp.asarray(labels))[2])


@jax.jit
def moved(shared, own, image, mask, labels):
    return warp(image, mask, labels, sampling_grid(shared, own, len(labels)))


@jax.jit
def default_transforms(seed):
    """Shared and own transform of the defaults, neither left out."""
    shared, own = jax.random.split(jax.random.key(seed))
    return sample_transform(shared, always("shared")), sample_transform(own, always("own"))


field = jax.jit(sampling_grid, static_argnames=("size", "source_size", "source_extent", "extent"))


def jacobian(places):
    places = np.asarray(places)
    down, across = np.diff(places, axis=1)[:, :, :-1], np.diff(places, axis=2)[:, :-1]
    return down[0] * across[1] - down[1] * across[0]


@pytest.mark.parametrize("size", [52, 61, 192])
def test_zero_ranges_change_nothing(size):
    before = pictures(size)
    for first, second in zip(before, moved(transform(), transform(1), *before), strict=True):
        np.testing.assert_array_equal(first, second)
        assert first.dtype == second.dtype


def test_zero_probabilities_change_nothing():
    off = {"affine_probability": 0.0, "elastic_probability": 0.0}
    own = sample_transform(jax.random.key(2), always("own", **off))
    before = pictures()
    after = moved(sample_transform(jax.random.key(1), always("shared", **off)), own, *before)
    for first, second in zip(before, after, strict=True):
        np.testing.assert_array_equal(first, second)


def test_positive_translation_moves_down_and_to_the_right():
    image, mask, labels = pictures()
    after = moved(transform(translation=(5.0, 5.0)), transform(), image, mask, labels)
    for first, second in zip((image, mask, labels), after, strict=True):
        np.testing.assert_array_equal(second[5:, 5:], first[:-5, :-5])
        assert not np.asarray(second)[:5].any()
        assert not np.asarray(second)[:, :5].any()


@pytest.mark.parametrize("size", [40, 41])
def test_positive_rotation_is_counter_clockwise(size):
    image, mask, labels = pictures(size)
    after = moved(transform(rotation=(90.0, 90.0)), transform(), image, mask, labels)
    np.testing.assert_allclose(after[0], np.rot90(image), atol=1e-4)
    np.testing.assert_array_equal(after[1], np.rot90(mask))
    np.testing.assert_array_equal(after[2], np.rot90(labels))


def test_scale_above_one_enlarges():
    labels = np.zeros((40, 40), np.int32)
    labels[14:26, 14:26] = 1
    expected = np.zeros_like(labels)
    expected[8:32, 8:32] = 1
    np.testing.assert_array_equal(moved_labels(transform(scale=(2.0, 2.0)), transform(), labels), expected)


def test_shear_moves_down_what_is_on_the_right():
    labels = np.zeros((40, 40), np.int32)
    labels[19:21] = 1
    sheared = moved_labels(transform(shear=(0.5, 0.5)), transform(), labels)
    middle = [np.nonzero(sheared[:, column])[0].mean() for column in (10, 30)]
    assert middle[1] - middle[0] == pytest.approx(10, abs=1)


def test_own_moves_the_image_then_shared_the_result():
    spot = np.zeros((41, 41), np.int32)
    spot[20, 20] = 1
    to_lower_right, turned = transform(translation=(6.0, 6.0)), transform(rotation=(90.0, 90.0))
    # To the lower right, then turned about the middle: upper right.
    np.testing.assert_array_equal(np.argwhere(moved_labels(turned, to_lower_right, spot)), [[14, 26]])
    np.testing.assert_array_equal(np.argwhere(moved_labels(to_lower_right, turned, spot)), [[26, 26]])


def test_reads_as_scipy_does():
    image, mask, labels = pictures()
    places = field(*default_transforms(3), size=SIZE)
    read, read_mask, label = jax.jit(warp)(image, mask, labels, places)
    inside = ((places >= 0) & (places <= SIZE - 1)).all(0)
    assert 0.5 < inside.mean() < 1

    def expected(image, order):
        return ndimage.map_coordinates(image, places, order=order, mode="nearest")[inside]

    np.testing.assert_allclose(read[inside], expected(image, 1), atol=1e-5)
    np.testing.assert_array_equal(read_mask[inside], expected(mask, 1) >= 0.5)
    np.testing.assert_array_equal(label[inside], expected(labels, 0))


@pytest.mark.parametrize(("size", "source_size"), [(26, 52), (52, 52), (40, 52)])
def test_another_size_shows_the_same_in_larger_pixels(size, source_size):
    shared, own = default_transforms(5)
    fine = np.asarray(field(shared, own, size=source_size, source_extent=192.0))
    coarse = np.asarray(field(shared, own, size=size, source_size=source_size, source_extent=192.0))
    # Where in the fine grid the middle of a coarse pixel lies.
    middles = (np.arange(size) + 0.5) * source_size / size - 0.5
    grid = np.stack(np.meshgrid(middles, middles, indexing="ij"))
    for axis in range(2):
        read = ndimage.map_coordinates(fine[axis], grid, order=1, mode="nearest")
        np.testing.assert_allclose(coarse[axis][2:-2, 2:-2], read[2:-2, 2:-2], atol=0.1)


def test_less_than_all_is_the_middle_of_it():
    shared, own = default_transforms(5)
    whole = np.asarray(field(shared, own, size=192))
    middle = field(shared, own, size=144, source_size=192, extent=144.0)
    np.testing.assert_allclose(middle, whole[:, 24:-24, 24:-24], atol=1e-3)
    halved = np.asarray(field(shared, own, size=72, source_size=192, extent=144.0))
    of_four = whole[:, 24:-24, 24:-24].reshape(2, 72, 2, 72, 2).mean((2, 4))
    np.testing.assert_allclose(halved, of_four, atol=0.05)


def test_outside_is_zero():
    ones = jnp.ones((48, 60))
    places = np.stack(np.meshgrid(np.arange(48.0), np.arange(60.0), indexing="ij")).astype(np.float32)
    places[:, 0, 0], places[:, 0, 1], places[:, 1, 0] = (-0.6, 3), (3, 59.6), (-1e6, 1e6)
    places[:, 2, 0], places[:, 2, 1] = (-0.4, 3), (47.4, 59.4)
    for read in warp(ones, ones, ones.astype(np.int32), jnp.asarray(places)):
        read = np.asarray(read)
        assert read[0, 0] == read[0, 1] == read[1, 0] == 0
        assert read.sum() == read.size - 3


@settings(max_examples=10)
@given(seeds)
def test_values_stay_what_they_are(seed):
    image, mask, labels = pictures(seed=seed)
    read, mask, label = map(np.asarray, moved(*default_transforms(seed), image, mask, labels))
    assert read.dtype == mask.dtype == np.float32
    assert np.isfinite(read).all()
    assert read.min() >= 0
    assert read.max() <= 1
    assert set(np.unique(mask)) <= {0, 1}
    assert set(np.unique(label)) <= {0, *np.unique(labels)}


def test_defaults_never_fold_and_always_show():
    still = field(transform(), transform(), size=192)
    for seed in range(60):
        coordinates = field(*default_transforms(seed), size=192)
        assert jacobian(coordinates).min() > 0.1
        assert 1 < np.hypot(*(coordinates - still)).mean() < 40


def test_the_steepest_deformation_allowed_does_not_fold():
    still = field(transform(), transform(), size=192)
    largest = 0
    for seed in range(30):
        steep = transform(seed, amplitude=(6.6, 6.6))
        coordinates = field(steep, transform(), size=192)
        assert jacobian(coordinates).min() > 0
        largest = max(largest, np.abs(coordinates - still).max())
    assert 4 < largest <= 6.6


def test_deformation_goes_on_beyond_its_nodes():
    bent = transform(amplitude=(6.0, 6.0))
    displacement = field(bent, transform(), size=400) - field(transform(), transform(), size=400)
    assert jnp.abs(displacement).max() > 1
    np.testing.assert_allclose(displacement[:, :60], jnp.broadcast_to(displacement[:, :1], (2, 60, 400)), atol=1e-4)


def test_images_share_the_shared_part_only():
    shared, _ = default_transforms(0)
    own = jax.tree.map(lambda *parts: jnp.stack(parts), *(default_transforms(seed)[1] for seed in range(3)))
    batch = [np.stack([part] * 3) for part in map(np.asarray, pictures())]
    move_all = jax.jit(jax.vmap(moved, (None, 0, 0, 0, 0)))
    together = move_all(shared, own, *batch)
    for number in range(3):
        alone = moved(shared, jax.tree.map(lambda part, n=number: part[n], own), *(part[number] for part in batch))
        np.testing.assert_allclose(together[0][number], alone[0], atol=1e-4)
    assert np.abs(together[0][0] - together[0][1]).mean() > 0.005
    # Of what one image is, another shows nothing.
    for part in batch:
        part[2] = 1
    changed = move_all(shared, own, *batch)
    for first, second in zip(together, changed, strict=True):
        np.testing.assert_array_equal(first[:2], second[:2])


def test_jit_equals_eager():
    image, mask, labels = pictures()
    shared, own = transform(3, rotation=(9.0, 9.0), amplitude=(5.0, 5.0)), transform(4, shear=(0.1, 0.1))
    compiled = moved(shared, own, image, mask, labels)
    eager = warp(image, mask, labels, sampling_grid(shared, own, SIZE))
    np.testing.assert_allclose(compiled[0], eager[0], atol=1e-4)
    assert (np.asarray(compiled[2]) != eager[2]).mean() < 0.001


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"amplitude": (0.0, 7.0)}, "third of the spacing"),
        ({"amplitude": (-7.0, 0.0)}, "third of the spacing"),
        ({"spacing": (0.0, 20.0)}, "spacing"),
        ({"scale": (0.0, 1.0)}, "scale"),
    ],
)
def test_impossible_ranges_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        transform(**changes)
