"""Task augmentations change the task alike for all images of an episode; images stay images, masks stay masks."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_collections import ConfigDict
from scipy import ndimage

from input_pipeline.ops.registry import NEEDS, Task, nothing_own, nothing_shared
from input_pipeline.ops.task_augmentations import TASK_AUGMENTATIONS
from input_pipeline.ops.task_augmentations.intensity_mapping import mapped
from input_pipeline.ops.task_augmentations.sobel_filter import edges
from input_pipeline.ops.task_augmentations.synthetic_modality import synthetic_image
from input_pipeline.space.tissue_classes import CLASSES
from neuralizer_jax.errors import InputError

ORDER = (
    "synthetic_modality",
    "intensity_mapping",
    "sobel_filter",
    "mask_part",
    "mask_border",
    "mask_contour",
    "mask_dilation",
    "mask_invert",
    "permute_channels",
    "duplicate_channels",
)
MASKS = ("mask_invert", "mask_contour", "mask_dilation", "mask_part", "mask_border")
SHAPE = (48, 56)
WHITE, CORTEX, CSF, SCALP = (CLASSES.index(name) for name in ("white_matter", "cortex", "csf", "scalp"))
seeds = st.integers(0, 2**32 - 1)
names = pytest.mark.parametrize("name", ORDER)


def config_of(name, **changes):
    return ConfigDict(dict(TASK_AUGMENTATIONS[name].defaults) | changes)


def shared_of(name, seed=0, **changes):
    if not changes:
        return sampler(name)(seed, 0)[0]
    return TASK_AUGMENTATIONS[name].sample(jax.random.key(seed), config_of(name, **changes))


@cache
def sampler(name):
    augmentation, config = TASK_AUGMENTATIONS[name], config_of(name)

    @jax.jit
    def sample(for_shared, for_own):
        shared = augmentation.sample(for_shared, config)
        return shared, augmentation.sample_image(for_own, shared, config)

    return lambda first, second: sample(jax.random.key(first), jax.random.key(second))


@cache
def applied(name):
    return jax.jit(TASK_AUGMENTATIONS[name].apply)


def head(width=0):
    """A label map: scalp around CSF around cortex around white matter, half as wide with each `width`."""
    labels = np.zeros(SHAPE, np.int32)
    for border, value in ((3, SCALP), (7, CSF), (11, CORTEX), (16, WHITE)):
        labels[border:-border, border + width : -border] = value
    return labels


WHITE_MASK = (head() == WHITE).astype(np.float32)[..., None]


def image_of(seed, channels=1):
    """An input with that many channels in use."""
    noise = np.random.default_rng(seed).random((*SHAPE, 3))
    smooth = ndimage.gaussian_filter(noise, (2, 2, 0))
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    smooth[..., channels:] = 0
    return smooth.astype(np.float32)


def mask_of(seed):
    rng = np.random.default_rng(seed)
    level = rng.choice([0.4, 0.5, 0.55, 1])
    return (ndimage.gaussian_filter(rng.random(SHAPE), rng.uniform(0, 3)) > level).astype(np.float32)[..., None]


def arguments_of(name, seed):
    """What the augmentation is applied to: images and labels, or input and output."""
    if TASK_AUGMENTATIONS[name].touches == "images":
        return image_of(seed), head(seed % 5)
    output = mask_of(seed) if name in MASKS else image_of(seed + 1)[..., :1]
    return image_of(seed), output


def leaves_of(result):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(result)]


def changes_only_output(name, shared, mask):
    """The output; asserts that the input stays."""
    images = image_of(0)
    after, output = applied(name)(shared, (), images, mask)
    np.testing.assert_array_equal(after, images)
    assert output.dtype == jnp.float32
    assert set(np.unique(output)) <= {0, 1}
    return np.asarray(output[..., 0]) > 0


# What holds for all of them.


def test_all_are_registered_in_order():
    assert tuple(TASK_AUGMENTATIONS)[: len(ORDER)] == ORDER


@pytest.mark.parametrize("needs", NEEDS)
def test_masks_are_changed_where_the_output_is_one(needs):
    task = Task("users own", needs, {}, nothing_shared, nothing_own, lambda *arguments: None)
    fitting = {name for name in ORDER if TASK_AUGMENTATIONS[name].fits(task)}
    everywhere = set(ORDER) - set(MASKS)
    assert fitting == (everywhere | set(MASKS) if needs in ("class", "brain mask") else everywhere)


@names
@settings(max_examples=6)
@given(seeds)
def test_values_are_finite_and_in_range(name, seed):
    arguments = arguments_of(name, seed)
    result = leaves_of(applied(name)(*sampler(name)(seed, seed + 1), *arguments))
    expected = [arguments[0]] if name == "synthetic_modality" else arguments
    for after, before in zip(result, expected, strict=True):
        assert after.shape == before.shape
        assert after.dtype == np.float32
        assert np.isfinite(after).all()
        assert after.min() >= 0
        assert after.max() <= 1


@names
@settings(max_examples=6)
@given(seeds)
def test_every_draw_shows(name, seed):
    arguments = image_of(seed), (head() if name == "synthetic_modality" else WHITE_MASK)
    result = leaves_of(applied(name)(*sampler(name)(seed, seed + 1), *arguments))
    difference = max(np.abs(after - before).mean() for after, before in zip(result, arguments, strict=False))
    assert difference > (0.003 if name == "mask_border" else 0.01)  # a border moves by a pixel or so


@names
def test_parameters_have_the_same_shape_for_any_key(name):
    shapes = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), sampler(name)(seed, seed)) for seed in range(3)]
    assert shapes[0] == shapes[1] == shapes[2]


@pytest.mark.parametrize("name", ORDER[1:])  # the first one's many operations take seconds one by one
def test_jit_equals_eager(name):
    parameters, arguments = sampler(name)(3, 4), map(jnp.asarray, arguments_of(name, 5))
    arguments = tuple(arguments)
    compiled, eager = applied(name)(*parameters, *arguments), TASK_AUGMENTATIONS[name].apply(*parameters, *arguments)
    for first, second in zip(leaves_of(compiled), leaves_of(eager), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)


@names
def test_an_image_does_not_depend_on_the_others(name):
    shared, _ = sampler(name)(1, 0)
    own = [sampler(name)(1, number)[1] for number in range(3)]
    arguments = [tuple(map(jnp.asarray, arguments_of(name, number))) for number in range(3)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *own)
    batch = [jnp.stack(part) for part in zip(*arguments, strict=True)]
    together = jax.jit(jax.vmap(TASK_AUGMENTATIONS[name].apply, (None, 0, 0, 0)))(shared, stacked, *batch)
    for number in range(3):
        alone = applied(name)(shared, own[number], *arguments[number])
        for first, second in zip(leaves_of(together), leaves_of(alone), strict=True):
            np.testing.assert_allclose(first[number], second, atol=1e-5)


# Synthetic modality.


def synthetic(seed, own_seed, labels, **changes):
    if not changes:
        parameters = sampler("synthetic_modality")(seed, own_seed)
        return np.asarray(applied("synthetic_modality")(*parameters, image_of(0), labels))[..., 0]
    config = config_of("synthetic_modality", **changes)
    shared = TASK_AUGMENTATIONS["synthetic_modality"].sample(jax.random.key(seed), config)
    own = TASK_AUGMENTATIONS["synthetic_modality"].sample_image(jax.random.key(own_seed), shared, config)
    return np.asarray(synthetic_image(shared, own, jnp.asarray(labels)))


def test_main_tissues_can_be_told_apart_in_every_modality():
    for seed in range(15):
        image = synthetic(seed, seed, head())
        means = sorted(
            image[ndimage.binary_erosion(head() == value, iterations=1)].mean() for value in (WHITE, CORTEX, CSF)
        )
        assert min(np.diff(means)) > 0.03


def test_mixed_tissues_lie_between_white_matter_and_cortex_and_the_others_stay_as_they_were():
    mixed = [CLASSES.index(name) for name in ("thalamus", "putamen", "hippocampus", "brain_stem", "cerebellum_white")]
    others = [CLASSES.index(name) for name in ("white_matter", "cortex", "csf", "ventricle", "scalp")]
    shares = []
    for seed in range(20):
        free = np.asarray(shared_of("synthetic_modality", seed)["means"])
        means = np.asarray(shared_of("synthetic_modality", seed, mixture_probability=1.0)["means"])
        np.testing.assert_array_equal(means[others], free[others])
        white, cortex = means[others[:2]]
        shares.append((means[mixed] - white) / (cortex - white))
    shares = np.array(shares)
    assert shares.min() >= -1e-5
    assert shares.max() <= 1 + 1e-5
    assert (shares.std(0) > 0.2).all()


def test_subjects_look_alike_in_a_modality_and_modalities_do_not():
    tissue = [head() == value for value in (WHITE, CORTEX, CSF, SCALP)]

    def means(seed, own_seed):
        image = synthetic(seed, own_seed, head(), bias=(0.0, 0.0), blur=(0.5, 0.5))
        return np.array([image[ndimage.binary_erosion(inside)].mean() for inside in tissue])

    of_modality = np.array([[means(seed, 10 * seed + subject) for subject in range(3)] for seed in range(6)])
    assert np.abs(of_modality - of_modality.mean(1, keepdims=True)).max() < 0.12
    assert of_modality.mean(1).std(0).min() > 0.1


def test_images_with_a_modality_each_show_the_same_anatomy_in_other_contrasts_but_not_where_modalities_are_the_task():
    def means(images, seed, own_seed, **changes):
        config = config_of("synthetic_modality", bias=(0.0, 0.0), **changes)
        augmentation = TASK_AUGMENTATIONS["synthetic_modality"]
        shared = augmentation.sample(jax.random.key(seed), config)
        own = augmentation.sample_image(jax.random.key(own_seed), shared, config)
        after = np.asarray(applied("synthetic_modality")(shared, own, images, head()))
        image = after[..., 1] if shared["second"] and images[..., 1].any() else after[..., 0]
        return [image[ndimage.binary_erosion(head() == value)].mean() for value in (WHITE, CORTEX, CSF, SCALP)]

    def spread(channels, **changes):
        """How much the means of tissues differ between the images of an episode, on average over episodes."""
        images = image_of(0, channels)
        return np.mean([np.std([means(images, seed, own, **changes) for own in range(4)], 0) for seed in range(4)])

    assert spread(1, own_probability=1.0) > 0.1
    for channels, probability in ((1, 0.0), (2, 1.0)):
        assert spread(channels, own_probability=probability) < 0.05


def test_subjects_have_noise_of_their_own():
    first, second = synthetic(0, 1, head()), synthetic(0, 2, head())
    inside = ndimage.binary_erosion(head() == WHITE, iterations=2)
    assert np.abs(np.corrcoef(first[inside], second[inside])[0, 1]) < 0.5
    assert first[inside].std() > 0.005


def test_a_dark_background_is_empty_and_a_bright_one_covers_what_has_no_label():
    labels = head()
    dark = synthetic(0, 0, labels, dark_background=1.0)
    assert not dark[labels == 0].any()
    bright = [synthetic(seed, 0, labels, dark_background=0.0)[labels == 0].mean() for seed in range(5)]
    assert np.std(bright) > 0.05


@pytest.mark.parametrize(("used", "replaced"), [(1, {0}), (2, {0, 1}), (3, {0})])
def test_the_channel_that_is_replaced(used, replaced):
    images = image_of(1, used)
    seen = set()
    for seed in range(8):
        after = np.asarray(applied("synthetic_modality")(*sampler("synthetic_modality")(seed, 0), images, head()))
        changed = [channel for channel in range(3) if (after[..., channel] != images[..., channel]).any()]
        assert len(changed) == 1
        seen.update(changed)
    assert seen == replaced


# Intensities.


def test_curves_fill_the_range_and_are_no_rising_ones():
    for seed in range(20):
        for curve in np.asarray(shared_of("intensity_mapping", seed)["curves"]):
            assert curve[0] == 0
            assert curve.min() == 0
            assert curve.max() == 1
            assert curve[4:].min() < 0.2
            assert np.diff(curve).min() < -0.05


def test_a_curve_is_the_same_function_everywhere():
    curve = shared_of("intensity_mapping", 3)["curves"][0]
    values = np.linspace(0, 1, SHAPE[0] * SHAPE[1], dtype=np.float32)
    expected = np.interp(values, np.linspace(0, 1, 17), curve)
    np.testing.assert_allclose(mapped(curve, jnp.asarray(values)), expected, atol=1e-5)
    shuffled = np.random.default_rng(0).permutation(values).reshape(SHAPE)
    np.testing.assert_allclose(
        mapped(curve, jnp.asarray(shuffled)), np.interp(shuffled, np.linspace(0, 1, 17), curve), atol=1e-5
    )


def test_input_output_or_both_are_mapped_and_unused_channels_stay_empty():
    images, output, seen = image_of(1, 2), image_of(2)[..., :1], set()
    for seed in range(20):
        after, changed = applied("intensity_mapping")(shared_of("intensity_mapping", seed), (), images, output)
        assert not np.asarray(after)[..., 2].any()
        seen.add((bool((after != images).any()), bool((changed != output).any())))
    assert seen == {(True, False), (False, True), (True, True)}


@pytest.mark.parametrize("name", ["intensity_mapping", "sobel_filter"])
@pytest.mark.parametrize("mask", [WHITE_MASK, np.zeros((*SHAPE, 1), np.float32), np.ones((*SHAPE, 1), np.float32)])
def test_a_mask_is_never_mapped_or_filtered(name, mask):
    images = image_of(1)
    for seed in range(8):
        after, output = applied(name)(shared_of(name, seed), (), images, mask)
        np.testing.assert_array_equal(output, mask)
        assert np.abs(after - images).mean() > 0.01


def test_edges_are_the_gradient_times_the_same_factor_for_all_images():
    image = 0.2 * image_of(1, 3)  # faint: nothing reaches 1
    expected = np.stack(
        [
            np.hypot(*(ndimage.sobel(image[..., channel], axis, mode="nearest") for axis in range(2)))
            for channel in range(3)
        ],
        axis=-1,
    )
    found = np.asarray(edges(jnp.asarray(image)))
    assert found.max() < 1
    factor = found.sum() / expected.sum()
    np.testing.assert_allclose(found, factor * expected, atol=1e-5)
    np.testing.assert_allclose(edges(jnp.asarray(image / 2)), found / 2, atol=1e-5)


def test_input_or_output_is_filtered():
    images, output, seen = image_of(1), image_of(2)[..., :1], set()
    for seed in range(12):
        after, changed = applied("sobel_filter")(shared_of("sobel_filter", seed), (), images, output)
        seen.add((bool((after != images).any()), bool((changed != output).any())))
    assert seen == {(True, False), (False, True)}


# Masks.


def disc(radius):
    offsets = np.arange(-radius, radius + 1)
    return offsets[:, None] ** 2 + offsets**2 <= radius**2


@settings(max_examples=20)
@given(seeds, st.integers(1, 6))
def test_dilation_is_that_of_scipy(seed, radius):
    mask = mask_of(seed)
    expected = ndimage.binary_dilation(mask[..., 0] > 0, disc(radius))
    np.testing.assert_array_equal(changes_only_output("mask_dilation", jnp.int32(radius), mask), expected)


@settings(max_examples=20)
@given(seeds, st.integers(1, 6))
def test_outline_is_that_of_scipy(seed, width):
    mask = mask_of(seed)[..., 0] > 0
    grown, shrunk = mask, ndimage.binary_erosion(mask, disc((width + 1) // 2), border_value=0)
    if width > 1:
        grown = ndimage.binary_dilation(mask, disc(width // 2))
    found = changes_only_output("mask_contour", jnp.int32(width), mask[..., None].astype(np.float32))
    np.testing.assert_array_equal(found, grown & ~shrunk)
    assert found.any() == mask.any()


@pytest.mark.parametrize("width", [1, 4])
def test_a_full_mask_has_its_outline_at_the_border(width):
    found = changes_only_output("mask_contour", jnp.int32(width), np.ones((*SHAPE, 1), np.float32))
    inside = (width + 1) // 2
    expected = np.ones(SHAPE, bool)
    expected[inside:-inside, inside:-inside] = False
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=10)
@given(seeds)
def test_inverted_twice_is_the_mask(seed):
    mask = mask_of(seed)
    inverted = changes_only_output("mask_invert", (), mask)
    np.testing.assert_array_equal(inverted, mask[..., 0] == 0)
    twice = changes_only_output("mask_invert", (), inverted[..., None].astype(np.float32))
    np.testing.assert_array_equal(twice, mask[..., 0] > 0)


@pytest.mark.parametrize(("name", "key", "values"), [("mask_contour", "width", 4), ("mask_dilation", "radius", 5)])
def test_sizes_are_drawn_from_the_whole_range(name, key, values):
    assert {int(shared_of(name, seed)) for seed in range(60)} == set(range(1, values + 1))
    for bounds in ((0, 3), (2, 7), (3, 2)):
        with pytest.raises(InputError, match=f"{name}.{key}"):
            shared_of(name, **{key: bounds})


def test_a_blur_too_wide_is_refused():
    with pytest.raises(InputError, match=r"synthetic_modality\.blur"):
        shared_of("synthetic_modality", blur=(0.5, 3.0))


# Channels.


def test_channels_are_permuted_and_the_first_one_moves():
    images, orders = image_of(1, 3), set()
    for seed in range(40):
        after = np.asarray(applied("permute_channels")(shared_of("permute_channels", seed), (), images, images)[0])
        order = tuple(
            next(source for source in range(3) if (after[..., place] == images[..., source]).all())
            for place in range(3)
        )
        assert sorted(order) == [0, 1, 2]
        orders.add(order)
    assert len(orders) == 4
    assert all(order[0] != 0 for order in orders)


@pytest.mark.parametrize("used", [(0,), (1,), (0, 1), (2, 0), (0, 1, 2)])
def test_unused_channels_become_copies_of_used_ones(used):
    sources = set()
    for seed in range(12):
        shared = shared_of("duplicate_channels", seed)
        of_images = []
        for number in range(2):
            images = np.zeros((*SHAPE, 3), np.float32)
            images[..., used] = image_of(number, 3)[..., used]
            after = np.asarray(applied("duplicate_channels")(shared, (), images, images)[0])
            np.testing.assert_array_equal(after[..., used], images[..., used])
            of_images.append(
                tuple(next(c for c in used if (after[..., place] == images[..., c]).all()) for place in range(3))
            )
        assert of_images[0] == of_images[1]
        sources.add(of_images[0])
    assert len(sources) == (2 if len(used) == 2 else 1)


def blurred_and_shifted(mask, blur, shift):
    """As scipy does it, ten times as fine: a shift is a whole number of its pixels."""
    fine = mask.astype(float).repeat(10, 0).repeat(10, 1)
    moved = ndimage.shift(ndimage.gaussian_filter(fine, 10 * blur), np.round(10 * np.asarray(shift)), order=0)
    return moved.reshape(SHAPE[0], 10, SHAPE[1], 10).mean((1, 3))


@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.0, -0.5), (-1.4, 0.3)])
def test_a_border_is_that_of_the_shifted_and_blurred_mask(shift):
    expected = blurred_and_shifted(head() == WHITE, 1.0, shift)
    for level in (0.3, 0.5, 0.7):
        shared = {"blur": jnp.float32(1.0), "shift": jnp.float32(shift), "level": jnp.float32(level)}
        found = changes_only_output("mask_border", shared, WHITE_MASK)
        clear = np.abs(expected - level) > 0.05  # the exact mean over a pixel blurs a little more
        np.testing.assert_array_equal(found[clear], (expected > level)[clear])


def test_a_lower_level_is_a_larger_structure():
    shared = shared_of("mask_border", 1)
    sizes = [
        changes_only_output("mask_border", shared | {"level": jnp.float32(level)}, WHITE_MASK).sum()
        for level in (0.2, 0.5, 0.8)
    ]
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize("bounds", [{"blur": (0.0, 1.0)}, {"blur": (0.5, 2.0)}, {"shift": (0.0, 4.0)}])
def test_a_border_is_not_moved_farther_than_it_is_looked_for(bounds):
    with pytest.raises(InputError, match="mask_border: blur is"):
        shared_of("mask_border", **bounds)


@settings(max_examples=20)
@given(seeds, st.tuples(st.integers(-6, 6), st.integers(-6, 6)))
def test_a_part_lies_within_the_structure_and_moves_with_it(seed, offset):
    shared = shared_of("mask_part", seed)
    whole = (head() == WHITE)[..., None].astype(np.float32)
    part = changes_only_output("mask_part", shared, whole)
    assert not (part & (whole[..., 0] == 0)).any()
    assert 0.2 < part.sum() / whole.sum() < 0.95
    moved = changes_only_output("mask_part", shared, np.roll(whole, offset, (0, 1)))
    # A pixel on the line may fall to either side.
    assert (moved != np.roll(part, offset, (0, 1))).mean() < 0.01


def test_nothing_has_no_part_and_a_pixel_is_its_own():
    shared, mask = shared_of("mask_part", 0), np.zeros((*SHAPE, 1), np.float32)
    assert not changes_only_output("mask_part", shared, mask).any()
    mask[20, 30] = 1
    assert changes_only_output("mask_part", shared | {"place": jnp.float32(-0.5)}, mask).sum() == 1
