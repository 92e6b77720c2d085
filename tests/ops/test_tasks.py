"""Tasks are pure, stay in range, do nothing at zero strength, and their physics is that of an independent NumPy."""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from scipy.ndimage import affine_transform

from input_pipeline.ops.k_space import from_k_space, line_numbers, to_k_space
from input_pipeline.ops.tasks import TASKS, denoising, inpainting, motion_correction
from input_pipeline.ops.tasks.undersampled_reconstruction import sampled_lines, zero_filled
from input_pipeline.space import random_field

NAMES = (
    "segmentation",
    "skull_stripping",
    "modality_transfer",
    "super_resolution",
    "motion_correction",
    "undersampled_reconstruction",
    "denoising",
    "inpainting",
    "two_modality_transfer",
)

# What makes each artefact none.
NO_STRENGTH = {
    "super_resolution": [{"factor_one_axis": (1.0, 1.0), "factor_both_axes": (1.0, 1.0)}],
    "motion_correction": [
        {"segments": (1, 1)},
        {"rotation_degrees": (0.0, 0.0), "translation_mm": (0.0, 0.0)},
    ],
    "undersampled_reconstruction": [{"acceleration": (1.0, 1.0)}],
    "denoising": [{"bias": (0.0, 0.0), "noise": (0.0, 0.0)}],
    "inpainting": [{"fraction": (0.0, 0.0)}],
}
ARTEFACTS = tuple(NO_STRENGTH)

# Here compiling takes longer than running.
compiled = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

MANY_LINES = compiled(jax.vmap(sampled_lines, (0, None, None)), static_argnums=1)


def head(height=64, width=96):
    """An image of folds in an ellipse, with a noisy background."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    folds = 0.5 + 0.4 * np.sin(14 * x + 3 * np.cos(5 * y)) * np.cos(9 * y)
    noise = np.random.default_rng(0).uniform(0, 0.03, y.shape)
    return np.where((x / 0.7) ** 2 + (y / 0.8) ** 2 < 1, folds, noise).astype(np.float32)


def in_first_channel(image):
    return np.stack([image, np.zeros_like(image), np.zeros_like(image)], axis=-1)


def config_of(name, **changes):
    return ConfigDict({**TASKS[name].defaults, **changes})


def two_keys(seed):
    return jax.random.key(seed), jax.random.key(seed + 1000)


@lru_cache
def draws(name, **changes):
    """Compiled: what is shared and an image's own, of a key of each."""
    task, config = TASKS[name], config_of(name, **changes)
    return compiled(lambda key, own: (shared := task.sample(key, config), task.sample_image(own, shared, config)))


@lru_cache
def episode(name):
    """Compiled: inputs and outputs of images that share a task of the default configuration, of a key and one each."""
    task, config = TASKS[name], config_of(name)

    def run(key, own, images):
        shared = task.sample(key, config)

        def one(key, image):
            return task.apply(shared, task.sample_image(key, shared, config), image, jnp.zeros(image.shape[:2]))

        return jax.vmap(one)(own, images)

    return compiled(run)


def degrade(name, shared, own, image):
    """The first channel of the input."""
    images = in_first_channel(image)
    return np.asarray(_compiled_apply(name)(shared, own, images, images[..., 1])[0])[..., 0]


@lru_cache
def _compiled_apply(name):
    return compiled(TASKS[name].apply)


def test_the_table():
    assert tuple(TASKS)[: len(NAMES)] == NAMES
    assert [name for name in NAMES if TASKS[name].is_segmentation] == ["segmentation", "skull_stripping"]


@pytest.mark.parametrize(
    ("name", "channels", "answer"),
    [
        ("segmentation", 1, "mask"),
        ("skull_stripping", 1, "mask"),
        ("modality_transfer", 1, 1),
        ("two_modality_transfer", 2, 2),
    ],
)
def test_tasks_without_an_artefact(name, channels, answer):
    images = np.random.default_rng(1).uniform(size=(16, 24, 3)).astype(np.float32)
    mask = (images[..., 0] > 0.5).astype(np.float32)
    inputs, output = compiled(TASKS[name].apply)((), (), images, mask)
    np.testing.assert_array_equal(inputs[..., :channels], images[..., :channels])
    assert not np.any(inputs[..., channels:])
    np.testing.assert_array_equal(output[..., 0], mask if answer == "mask" else images[..., answer])
    assert inputs.dtype == output.dtype == jnp.float32


@pytest.mark.parametrize("name", ARTEFACTS)
def test_any_draw_gives_visible_artefacts_in_range_and_two_images_their_own(name):
    clean, different = np.stack([in_first_channel(head())] * 2), 0
    own = jax.random.split(jax.random.key(0), (60, 2))
    for seed in range(60):
        inputs, outputs = (np.asarray(part) for part in episode(name)(jax.random.key(seed), own[seed], clean))
        assert inputs.dtype == outputs.dtype == np.float32
        assert np.isfinite(inputs).all()
        assert inputs.min() >= 0
        assert inputs.max() <= 1
        assert not np.any(inputs[..., 1:])
        np.testing.assert_array_equal(outputs, clean[..., :1])
        assert ((inputs[..., 0] - clean[..., 0]) ** 2).mean((1, 2)).min() > 1e-4
        different += ((inputs[0] - inputs[1]) ** 2).max() > 1e-3
    assert different > 50


@pytest.mark.parametrize("name", ARTEFACTS)
@pytest.mark.parametrize("level", [0, 1])
def test_blank_images_stay_in_range(name, level):
    images = np.full((2, 64, 96, 3), level, np.float32)
    inputs, _ = episode(name)(jax.random.key(1), jax.random.split(jax.random.key(2)), images)
    assert np.isfinite(inputs).all()
    assert np.min(inputs) >= 0
    assert np.max(inputs) <= level


@pytest.mark.parametrize(("name", "changes"), [(name, change) for name in ARTEFACTS for change in NO_STRENGTH[name]])
def test_no_strength_is_the_identity(name, changes):
    draw = draws(name, **changes)
    for seed in range(5):
        np.testing.assert_allclose(degrade(name, *draw(*two_keys(seed)), head()), head(), atol=2e-6)


@pytest.mark.parametrize("name", ARTEFACTS)
def test_compiled_and_batched_as_one_by_one(name):
    key, own = two_keys(4)
    images = np.stack([in_first_channel(image) for image in (head(), head()[::-1])])
    batched, _ = episode(name)(key, jnp.stack([key, own]), images)
    shared, own = draws(name)(key, own)
    np.testing.assert_allclose(batched[1, ..., 0], degrade(name, shared, own, head()[::-1]), atol=2e-5)
    uncompiled, _ = TASKS[name].apply(shared, own, images[1], images[1, ..., 1])
    np.testing.assert_allclose(batched[1], uncompiled, atol=2e-5)


@pytest.mark.parametrize("name", ["motion_correction", "undersampled_reconstruction"])
def test_phase_encoding_along_rows_is_that_of_the_transposed_image(name):
    draw = draws(name)
    shared, own = draw(*two_keys(6))
    along_rows, along_columns = ({**shared, "rows": jnp.array(rows)} for rows in (True, False))
    turned = degrade(name, along_columns, own, head().T)
    np.testing.assert_allclose(degrade(name, along_rows, own, head()), turned.T, atol=1e-6)
    assert {bool(draw(*two_keys(seed))[0]["rows"]) for seed in range(20)} == {True, False}


def test_k_space_is_unitary_and_centred_at_the_first_line():
    image = head(16, 15)
    lines = np.asarray(to_k_space(image))
    np.testing.assert_allclose((np.abs(lines) ** 2).sum(), (image**2).sum(), rtol=1e-5)
    np.testing.assert_allclose(from_k_space(lines), image, atol=1e-6)
    np.testing.assert_allclose(lines[:, 0], image.sum(1) / np.sqrt(15), rtol=1e-5)
    np.testing.assert_allclose(line_numbers(15), np.fft.fftfreq(15) * 2, rtol=1e-6)


def test_noise_is_rician():
    image = np.zeros((256, 256), np.float32)
    image[:, 128:] = 0.5
    noisy = np.asarray(compiled(denoising.add_noise)({"noise": 0.2}, {"noise": jax.random.key(8)}, image))
    sigma = 0.2 * 0.5
    assert noisy[:, :128].mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.02)
    assert noisy[:, :128].var() == pytest.approx(sigma**2 * (2 - np.pi / 2), rel=0.04)
    assert (noisy[:, 128:] ** 2).mean() == pytest.approx(0.5**2 + 2 * sigma**2, rel=0.02)


def test_bias_is_smooth_keeps_the_gain_and_does_not_saturate():
    keys = jax.random.split(jax.random.key(9), 60)

    add_bias = compiled(
        jax.vmap(lambda image, key: denoising.add_bias({"bias": 0.3}, {"field": key}, image), (None, 0))
    )

    def biased(level):
        return np.asarray(add_bias(np.full((192, 192), level, np.float32), keys))

    factors = np.log(biased(0.2) / 0.2)
    np.testing.assert_allclose(factors.mean((1, 2)), 0, atol=1e-5)
    assert np.abs(np.diff(factors, axis=1)).max() < 0.05
    assert 0.2 < factors.std((1, 2)).mean() < 0.3
    bright = biased(0.9)
    assert ((bright == 1).sum((1, 2)) <= 1).all()
    assert bright.max() == 1


def test_rows_or_columns_or_both_are_coarse():
    config, draw = config_of("super_resolution"), draws("super_resolution")
    factors = np.array([draw(*two_keys(seed))[0] for seed in range(30)])
    kinds = factors > 1
    assert {tuple(kind) for kind in kinds.tolist()} == {(True, False), (False, True), (True, True)}
    one, both = factors[~kinds.all(1)].max(1), factors[kinds.all(1)]
    assert config.factor_one_axis[0] <= one.min() < one.max() <= config.factor_one_axis[1]
    assert config.factor_both_axes[0] <= both.min() < both.max() <= config.factor_both_axes[1]
    np.testing.assert_array_equal(both[:, 0], both[:, 1])
    stripes = np.broadcast_to(head()[30], (64, 96))
    np.testing.assert_allclose(
        degrade("super_resolution", jnp.array([5.0, 1.0]), jnp.array([2.3, 0.0]), stripes), stripes, atol=1e-6
    )


def test_sampled_lines_of_k_space_are_kept_and_the_others_zero():
    image = head()
    lines = np.asarray(compiled(sampled_lines, static_argnums=1)(jax.random.key(10), 96, jnp.float32(3)))
    clean, filled = np.fft.fft2(image), np.fft.fft2(compiled(zero_filled)(image, lines))
    np.testing.assert_allclose(filled[:, lines], clean[:, lines], atol=2e-3)
    np.testing.assert_allclose(filled[:, ~lines], 0, atol=2e-3)
    shared = {"acceleration": jnp.float32(3), "rows": jnp.array(False)}
    magnitude = np.abs(np.fft.ifft2(np.where(lines, clean, 0)))
    result = degrade("undersampled_reconstruction", shared, jax.random.key(10), image)
    np.testing.assert_allclose(result, np.minimum(magnitude, 1), atol=1e-5)


@pytest.mark.parametrize("acceleration", [1.5, 2.0, 4.0, 8.0])
def test_acceleration_is_met_on_average_and_density_falls_outwards(acceleration):
    keys = jax.random.split(jax.random.key(11), 2000)
    lines = np.asarray(MANY_LINES(keys, 192, jnp.float32(acceleration)))
    assert lines.mean() == pytest.approx(1 / acceleration, rel=0.03)
    distance = np.abs(np.fft.fftfreq(192) * 2)
    assert lines[:, distance < 0.32 / acceleration].all()
    bands = [lines[:, (distance > low) & (distance <= low + 0.25)].mean() for low in (0, 0.25, 0.5, 0.75)]
    assert bands == sorted(bands, reverse=True)
    assert bands[-1] > 0


def test_lines_are_those_of_the_image_moved_as_scipy_moves_it():
    image = head()
    poses = np.array([[5, 2, -3.5], [-20, 0.3, 4]], np.float32)
    expected = [image]
    for degrees, *shift in poses:
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        back, middle = np.array([[c, s], [-s, c]]), (np.array(image.shape) - 1) / 2
        wide = affine_transform(np.pad(image, 1), back, middle + 1 - back @ (middle + 1 + shift), order=1)
        expected.append(wide[1:-1, 1:-1])
    for pose, copy in zip(poses, expected[1:], strict=True):
        np.testing.assert_allclose(compiled(motion_correction.moved)(image, pose), copy, atol=1e-4)
    numbers = np.random.default_rng(2).integers(0, 3, 96)
    result = np.fft.fft2(compiled(motion_correction.acquired)(image, numbers, poses))
    for number, copy in enumerate(expected):
        np.testing.assert_allclose(result[:, numbers == number], np.fft.fft2(copy)[:, numbers == number], atol=0.02)


def test_a_translation_during_all_of_the_scan_only_translates():
    image = np.zeros((64, 96), np.float32)
    image[20:40, 30:60] = head()[20:40, 30:60]
    result = compiled(motion_correction.acquired)(image, jnp.ones(96, int), jnp.array([[0.0, 5.0, -7.0]]))
    np.testing.assert_allclose(jnp.abs(result), np.roll(image, (5, -7), (0, 1)), atol=1e-5)


def test_lines_are_acquired_in_shots_and_the_centre_at_rest():
    draw = draws("motion_correction", segments=(3, 3))
    order = compiled(motion_correction.pose_of_lines, static_argnums=0)
    seen = set()
    for seed in range(15):
        shared, own = draw(*two_keys(seed))
        shots = int(shared["shots"])
        in_time = np.fft.fftshift(np.asarray(order(192, own["jumps"], shots)))
        assert set(in_time) == {0, 1, 2}
        assert (in_time[96 - 7 : 96 + 8] == 0).all()
        # Outside of the centre a pose lasts for many lines of a shot.
        outside = np.concatenate([in_time[shot : 96 - 7 : shots] for shot in range(shots)])
        assert (np.diff(outside) != 0).sum() <= 2 + shots
        seen.add(shots)
    assert seen == {1, 2, 3}


def test_poses_are_no_larger_than_the_severity_and_no_smaller_than_half():
    draw = draws("motion_correction")
    drawn = [draw(*two_keys(seed)) for seed in range(200)]
    share = np.array([own["poses"] / shared["severity"] for shared, own in drawn])
    assert 0.5 <= np.abs(share).min() < 0.51
    assert 0.99 < np.abs(share).max() <= 1
    assert 0.4 < (share > 0).mean() < 0.6


@pytest.mark.parametrize("fraction", [0.08, 0.25])
def test_the_removed_share_of_the_foreground(fraction):
    image = head(96, 96)
    shared = {"spacing": jnp.float32(15), "fraction": jnp.float32(fraction)}
    nodes = np.random.default_rng(3).standard_normal((20, 20, 20)).astype(np.float32)
    inputs = np.array([degrade("inpainting", shared, own, image) for own in nodes])
    kept = inputs == image
    assert (inputs[~kept] == 0).all()
    foreground = image > 0.1
    np.testing.assert_allclose((~kept)[:, foreground].mean(1), fraction, atol=0.003)
    # Regions, not specks: hardly any two neighbours differ.
    assert (kept[:, 1:] != kept[:, :-1]).mean() < 0.05


@pytest.mark.parametrize("spacing", [12, 17.5])
def test_regions_are_outlined_by_splines_of_the_drawn_spacing(spacing):
    expected = random_field.spline_weights(192, spacing)
    weights_of = compiled(inpainting.spline_weights, static_argnums=0)
    weights = np.asarray(weights_of(192, spacing))
    np.testing.assert_allclose(weights[:, : expected.shape[1]], expected[:, : weights.shape[1]], atol=1e-5)
    np.testing.assert_allclose((np.asarray(weights_of(512, spacing)) ** 2).sum(1), 1, rtol=1e-5)
