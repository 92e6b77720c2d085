"""The spatial augmentation moves what it says where it says, never folds, and at zero changes nothing."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_collections import ConfigDict
from scipy import ndimage

from input_pipeline.spatial_transform import DEFAULTS, displacement_field, sample_transform, warp
from neuralizer_jax.errors import InputError

SHAPE = (48, 60)
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
keys = st.integers(0, 2**32 - 1)


def transform(seed=0, **changes):
    return sample_transform(jax.random.key(seed), ConfigDict(STILL | changes))


def always(part, **changes):
    return ConfigDict(DEFAULTS[part] | {"affine_probability": 1.0, "elastic_probability": 1.0} | changes)


def pictures(shape=SHAPE, seed=0):
    """Two images, a mask, a label map."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.random((*shape, 3)), (3, 3, 0))
    smooth = ((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)
    labels = (smooth[..., 2] * 6).astype(np.int32)
    return smooth[..., :2], (labels == 3)[..., None].astype(np.float32), labels


@jax.jit
def moved(shared, own, images, masks, labels):
    return warp(images, masks, labels, displacement_field(shared, own, labels.shape))


@partial(jax.jit, static_argnames="size")
def default_coordinates(keys, size=192):
    def one(key):
        shared, own = jax.random.split(key)
        shared = sample_transform(shared, always("shared"))
        return displacement_field(shared, sample_transform(own, always("own")), (size, size))

    return jax.lax.map(one, keys)


def jacobian(coordinates):
    down, across = jnp.diff(coordinates, axis=-3)[..., :-1, :], jnp.diff(coordinates, axis=-2)[..., :-1, :, :]
    return down[..., 0] * across[..., 1] - down[..., 1] * across[..., 0]


@pytest.mark.parametrize("shape", [(48, 60), (47, 47), (192, 192)])
def test_zero_ranges_change_nothing(shape):
    before = pictures(shape)
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
    images, masks, labels = pictures()
    after = moved(transform(translation=(5.0, 5.0)), transform(), images, masks, labels)
    for first, second in zip((images, masks, labels), after, strict=True):
        np.testing.assert_array_equal(second[5:, 5:], first[:-5, :-5])
        assert not np.asarray(second)[:5].any()
        assert not np.asarray(second)[:, :5].any()


@pytest.mark.parametrize("size", [40, 41])
def test_positive_rotation_is_counter_clockwise(size):
    images, masks, labels = pictures((size, size))
    after = moved(transform(rotation=(90.0, 90.0)), transform(), images, masks, labels)
    np.testing.assert_allclose(after[0], np.rot90(images), atol=1e-4)
    np.testing.assert_array_equal(after[1], np.rot90(masks))
    np.testing.assert_array_equal(after[2], np.rot90(labels))


def test_scale_above_one_enlarges():
    labels = np.zeros((64, 64), np.int32)
    labels[24:40, 24:40] = 1
    images = labels[..., None].astype(np.float32)
    enlarged = moved(transform(scale=(2.0, 2.0)), transform(), images, images, labels)[2]
    expected = np.zeros_like(labels)
    expected[16:48, 16:48] = 1
    np.testing.assert_array_equal(enlarged, expected)


def test_shear_moves_down_what_is_on_the_right():
    labels = np.zeros((64, 64), np.int32)
    labels[31:33] = 1
    images = labels[..., None].astype(np.float32)
    sheared = np.asarray(moved(transform(shear=(0.5, 0.5)), transform(), images, images, labels)[2])
    middle = [np.nonzero(sheared[:, column])[0].mean() for column in (12, 52)]
    assert middle[1] - middle[0] == pytest.approx(20, abs=1)


def test_own_moves_the_image_then_shared_the_result():
    spot = np.zeros((41, 41), np.int32)
    spot[20, 20] = 1
    images = spot[..., None].astype(np.float32)
    to_lower_right, turned = transform(translation=(6.0, 6.0)), transform(rotation=(90.0, 90.0))
    place = np.argwhere(moved(turned, to_lower_right, images, images, spot)[2])
    np.testing.assert_array_equal(place, [[14, 26]])  # lower right, turned: upper right
    place = np.argwhere(moved(to_lower_right, turned, images, images, spot)[2])
    np.testing.assert_array_equal(place, [[26, 26]])


def test_reads_as_scipy_does():
    images, masks, labels = pictures()
    coordinates = default_coordinates(jax.random.split(jax.random.key(3), 1))[0, 60:108, 60:120] - 60
    read, mask, label = warp(images, masks, labels, coordinates)
    inside = ((coordinates >= 0) & (coordinates <= jnp.array(SHAPE) - 1)).all(-1)
    assert 0.5 < inside.mean() < 1
    places = np.moveaxis(coordinates, -1, 0)

    def expected(image, order):
        return ndimage.map_coordinates(image, places, order=order, mode="nearest")[inside]

    for channel in range(2):
        np.testing.assert_allclose(read[inside][:, channel], expected(images[..., channel], 1), atol=1e-5)
    np.testing.assert_array_equal(mask[inside][:, 0], expected(masks[..., 0], 1) >= 0.5)
    np.testing.assert_array_equal(label[inside], expected(labels, 0))


def test_outside_is_zero():
    ones = np.ones((*SHAPE, 1), np.float32)
    coordinates = np.stack(np.meshgrid(np.arange(48.0), np.arange(60.0), indexing="ij"), -1).astype(np.float32)
    coordinates[0, 0], coordinates[0, 1], coordinates[1, 0] = (-0.6, 3), (3, 59.6), (-1e6, 1e6)
    coordinates[2, 0], coordinates[2, 1] = (-0.4, 3), (47.4, 59.4)
    for read in warp(ones, ones, ones[..., 0].astype(np.int32), coordinates):
        read = np.asarray(read).reshape(SHAPE)
        assert read[0, 0] == read[0, 1] == read[1, 0] == 0
        assert read.sum() == read.size - 3


def test_works_without_masks():
    images, masks, labels = pictures()
    with_mask = moved(transform(rotation=(20.0, 20.0)), transform(), images, masks, labels)
    without = moved(transform(rotation=(20.0, 20.0)), transform(), images, masks[..., :0], labels)
    assert without[1].shape == (*SHAPE, 0)
    np.testing.assert_array_equal(without[0], with_mask[0])
    np.testing.assert_array_equal(without[2], with_mask[2])


@settings(max_examples=10, deadline=None)
@given(keys)
def test_values_stay_what_they_are(seed):
    images, masks, labels = pictures(seed=seed)
    shared = sample_transform(jax.random.key(seed), always("shared"))
    own = sample_transform(jax.random.key(seed + 1), always("own"))
    read, mask, label = map(np.asarray, moved(shared, own, images, masks, labels))
    assert read.dtype == mask.dtype == np.float32
    assert np.isfinite(read).all()
    assert read.min() >= 0
    assert read.max() <= 1
    assert set(np.unique(mask)) <= {0, 1}
    assert set(np.unique(label)) <= {0, *np.unique(labels)}


def test_defaults_never_fold_and_always_show():
    coordinates = default_coordinates(jax.random.split(jax.random.key(0), 60))
    assert jacobian(coordinates).min() > 0.1
    still = displacement_field(transform(), transform(), (192, 192))
    distance = jnp.sqrt(((coordinates - still) ** 2).sum(-1)).mean((1, 2))
    assert distance.min() > 1
    assert distance.max() < 40


def test_the_steepest_deformation_allowed_does_not_fold():
    config = ConfigDict(STILL | {"amplitude": (8.0, 8.0), "spacing": (24.0, 24.0)})

    def field(key):
        return displacement_field(sample_transform(key, config), transform(), (192, 192))

    coordinates = jax.jit(partial(jax.lax.map, field))(jax.random.split(jax.random.key(1), 40))
    assert jacobian(coordinates).min() > 0
    displacement = jnp.abs(coordinates - displacement_field(transform(), transform(), (192, 192)))
    assert 4 < displacement.max() <= 8


def test_deformation_goes_on_beyond_its_nodes():
    bent = transform(amplitude=(6.0, 6.0))
    coordinates = displacement_field(bent, transform(), (400, 400))
    displacement = coordinates - displacement_field(transform(), transform(), (400, 400))
    assert jnp.abs(displacement).max() > 1
    np.testing.assert_allclose(displacement[:60], jnp.broadcast_to(displacement[:1], (60, 400, 2)), atol=1e-4)


def test_images_share_the_shared_part_only():
    config = always("own")
    shared = sample_transform(jax.random.key(0), always("shared"))
    own = jax.vmap(lambda key: sample_transform(key, config))(jax.random.split(jax.random.key(1), 3))
    batch = [np.stack([part] * 3) for part in pictures()]
    together = jax.vmap(moved, (None, 0, 0, 0, 0))(shared, own, *batch)
    for number in range(3):
        alone = moved(shared, jax.tree.map(lambda part, n=number: part[n], own), *(part[number] for part in batch))
        np.testing.assert_allclose(together[0][number], alone[0], atol=1e-4)
    assert np.abs(together[0][0] - together[0][1]).mean() > 0.005
    # Of what one image is, another shows nothing.
    for part in batch:
        part[2] = 1
    changed = jax.vmap(moved, (None, 0, 0, 0, 0))(shared, own, *batch)
    for first, second in zip(together, changed, strict=True):
        np.testing.assert_array_equal(first[:2], second[:2])


def test_jit_equals_eager():
    images, masks, labels = pictures()
    shared, own = transform(3, rotation=(9.0, 9.0), amplitude=(5.0, 5.0)), transform(4, shear=(0.1, 0.1))
    compiled = moved(shared, own, images, masks, labels)
    eager = warp(images, masks, labels, displacement_field(shared, own, SHAPE))
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
