"""`predict` on arrays: what a user of the Python interface relies on."""

import numpy as np
import pytest
from conftest import draw_params

from neuralizer_jax import InputError, Neuralizer, UNet, predict
from neuralizer_jax.inference import one_pass as inference_pass
from neuralizer_jax.inference.bootstrap import draw_affines, warp
from neuralizer_jax.preprocess import Resampling, bucket_size, pad_to_multiple

MODEL = Neuralizer(features=4, stages=2)


@pytest.fixture(scope="module")
def params():
    # Scores on both sides of 0.5, where a segmentation is decided.
    return draw_params(MODEL, seed=6)


def images(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def label_maps(members=3, size=(8, 8), values=(0, 4, 9), seed=1):
    return np.random.default_rng(seed).choice(values, (members, *size))


class TestImages:
    def test_equals_the_network(self, params):
        target, context_in, context_out = images(8, 8), images(3, 8, 8, seed=1), images(3, 8, 8, seed=2)
        prediction = predict(MODEL, params, target, context_in, context_out, normalize="none")
        arrays = (x[None, ..., None] for x in (target, context_in, context_out))
        np.testing.assert_allclose(prediction.mean, MODEL.apply({"params": params}, *arrays)[0, ..., 0], atol=1e-5)
        assert prediction.std.shape == (8, 8)
        assert not prediction.std.any()
        assert prediction.labels is None

    def test_channels_may_be_given(self, params):
        target, context_in, context_out = images(8, 8, 2), images(3, 8, 8, 2, seed=1), images(3, 8, 8, 1, seed=2)
        prediction = predict(MODEL, params, target, context_in, context_out, normalize="none")
        arrays = (x[None] for x in (target, context_in, context_out))
        np.testing.assert_allclose(prediction.mean, MODEL.apply({"params": params}, *arrays)[0, ..., 0], atol=1e-5)

    @pytest.mark.parametrize("size", [(7, 9), (8, 7), (1, 5)])
    def test_any_size_is_padded_and_cropped_back(self, params, size):
        prediction = predict(MODEL, params, images(*size), images(2, *size, seed=1), images(2, *size, seed=2))
        assert prediction.mean.shape == prediction.std.shape == size

    def test_padding_does_not_shift_the_image(self, params):
        # An empty border: cutting its last column, which padding puts back, changes nothing else.
        arrays = np.zeros((12, 12)), np.zeros((2, 12, 12)), np.zeros((2, 12, 12))
        for x in arrays:
            x[..., 2:10, 2:10] = images(8, 8)
        whole = predict(MODEL, params, *arrays).mean
        cut = predict(MODEL, params, *(x[..., :-1] for x in arrays)).mean
        np.testing.assert_allclose(cut, whole[:, :-1], atol=1e-5)

    def test_volumes(self):
        model = Neuralizer(features=2, stages=2, dim=3)
        arrays = images(4, 4, 5), images(2, 4, 4, 5, seed=1), images(2, 4, 4, 5, seed=2)
        prediction = predict(model, draw_params(model), *arrays)
        assert prediction.mean.shape == (4, 4, 5)

    def test_intensities_of_any_scale_are_normalized(self, params):
        target, context_in, context_out = images(8, 8), images(3, 8, 8, seed=1), images(3, 8, 8, seed=2)
        expected = predict(MODEL, params, target, context_in, context_out)
        gains = np.array([1e-9, 1, 1e9])[:, None, None]
        scaled = predict(MODEL, params, 0.01 * target, gains * (context_in - 3), 255 * context_out + 1000)
        np.testing.assert_allclose(scaled.mean, expected.mean, atol=1e-4)

    def test_the_arrays_of_the_caller_are_left_alone(self, params):
        arrays = [images(7, 8) * 300, images(3, 7, 8, seed=1) * 300, images(3, 7, 8, seed=2) * 300]
        copies = [x.copy() for x in arrays]
        predict(MODEL, params, *arrays)
        for x, copy in zip(arrays, copies, strict=True):
            np.testing.assert_array_equal(x, copy)


class TestSegmentation:
    def test_mask_keeps_its_label_and_follows_the_probability(self, params):
        masks = label_maps(values=(0, 255))
        prediction = predict(MODEL, params, images(8, 8), images(3, 8, 8, seed=1), masks, task="segmentation")
        assert prediction.label_values == (255,)
        assert prediction.mean.min() >= 0
        assert prediction.mean.max() <= 1
        assert {0, 255} == set(np.unique(prediction.labels))
        np.testing.assert_array_equal(prediction.labels == 255, prediction.mean > 0.5)

    @pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float64])
    def test_masks_of_any_type_mean_the_same(self, params, dtype):
        masks = label_maps(values=(0, 1))
        arrays = images(8, 8), images(3, 8, 8, seed=1)
        expected = predict(MODEL, params, *arrays, masks, task="segmentation")
        prediction = predict(MODEL, params, *arrays, masks.astype(dtype), task="segmentation")
        np.testing.assert_array_equal(prediction.mean, expected.mean)

    def test_label_maps_are_merged_by_the_highest_score_with_background(self, params):
        arrays = images(8, 8), images(3, 8, 8, seed=1)
        labels = label_maps(values=(0, 4, 9, 17))
        prediction = predict(MODEL, params, *arrays, labels, task="segmentation")
        assert prediction.label_values == (4, 9, 17)
        assert prediction.mean.shape == prediction.std.shape == (3, 8, 8)
        # The same classes, one by one.
        single = [predict(MODEL, params, *arrays, labels == value, task="segmentation").mean for value in (0, 4, 9, 17)]
        np.testing.assert_allclose(prediction.mean, single[1:], atol=1e-5)
        best = np.argmax(single, axis=0)
        decided = np.diff(np.sort(single, axis=0)[-2:], axis=0)[0] > 1e-4
        np.testing.assert_array_equal(prediction.labels[decided], np.array([0, 4, 9, 17])[best][decided])

    def test_chosen_labels_make_the_others_background(self, params):
        arrays = images(8, 8), images(3, 8, 8, seed=1)
        labels = label_maps(values=(0, 4, 9, 17))
        some = predict(MODEL, params, *arrays, labels, task="segmentation", label_values=[9, 4])
        merged = predict(MODEL, params, *arrays, np.where(labels == 17, 0, labels), task="segmentation")
        assert some.label_values == (4, 9)
        np.testing.assert_array_equal(some.labels, merged.labels)

    def test_classes_in_several_batches_are_the_same(self, params, monkeypatch):
        arrays = images(8, 8), images(3, 8, 8, seed=1), label_maps(values=(0, 1, 2, 3, 5))
        expected = predict(MODEL, params, *arrays, task="segmentation")
        monkeypatch.setattr(inference_pass, "_BATCH_BYTES", 2 * 4 * 4 * 4 * 64)  # two classes at a time
        prediction = predict(MODEL, params, *arrays, task="segmentation")
        np.testing.assert_allclose(prediction.mean, expected.mean, atol=1e-5)

    def test_a_models_sigmoid_is_applied(self, params):
        arrays = images(8, 8), images(3, 8, 8, seed=1), label_maps(values=(0, 1))
        logits = predict(MODEL, params, *arrays, task="image").mean
        model = MODEL.clone(segmentation_sigmoid=True)
        np.testing.assert_allclose(
            predict(model, params, *arrays, task="segmentation").mean, 1 / (1 + np.exp(-logits)), atol=1e-5
        )
        np.testing.assert_allclose(predict(model, params, *arrays, task="image").mean, logits, atol=1e-5)


class TestBootstrap:
    arrays = images(8, 8), images(3, 8, 8, seed=1), images(3, 8, 8, seed=2)

    def run(self, params, **options):
        return predict(MODEL, params, *self.arrays, **options)

    def test_the_seed_decides(self, params):
        options = {"bootstrap": 3, "bootstrap_size": 4, "augment": True}
        first, again, other = (self.run(params, **options, seed=seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first.mean, again.mean)
        np.testing.assert_array_equal(first.std, again.std)
        assert np.abs(first.mean - other.mean).max() > 0

    def test_mean_and_deviation_are_those_of_the_draws(self, params):
        draws = [self.run(params, bootstrap=k, bootstrap_size=4).mean * k for k in (1, 2, 3)]
        singles = np.diff([np.zeros((8, 8)), *draws], axis=0)
        three = self.run(params, bootstrap=3, bootstrap_size=4)
        np.testing.assert_allclose(three.mean, singles.mean(0), atol=1e-5)
        np.testing.assert_allclose(three.std, singles.std(0), atol=1e-5)
        assert three.std.max() > 1e-4

    def test_one_pair_resampled_is_itself(self, params):
        one = self.arrays[0], self.arrays[1][:1], self.arrays[2][:1]
        plain, resampled = (predict(MODEL, params, *one, bootstrap=k) for k in (0, 2))
        np.testing.assert_allclose(resampled.mean, plain.mean, atol=1e-5)
        np.testing.assert_allclose(resampled.std, 0, atol=1e-6)

    def test_progress_is_reported_once_a_draw(self, params):
        calls = []
        self.run(params, bootstrap=4, on_draw=lambda: calls.append(1))
        assert len(calls) == 4

    def test_augmented_label_maps_keep_whole_labels(self, params):
        prediction = predict(
            MODEL, params, *self.arrays[:2], label_maps(), task="segmentation", bootstrap=2, augment=True
        )
        assert set(np.unique(prediction.labels)) <= {0, 4, 9}

    @pytest.mark.parametrize("dim", [2, 3])
    def test_warp_moves_by_what_the_affine_says(self, dim):
        image = images(*(6, 7, 8)[:dim], 2)
        identity = np.concatenate([np.eye(dim), np.zeros((dim, 1))], axis=1)
        np.testing.assert_allclose(warp(image, identity, nearest=False), image, atol=1e-5)
        shift = identity.copy()
        shift[0, -1] = 1 / 6  # one pixel of six
        np.testing.assert_allclose(warp(image, shift, nearest=False)[:-1], image[1:], atol=1e-4)

    def test_affines_are_small_and_reproducible(self):
        affines = draw_affines(0, 1, 5, 2)
        np.testing.assert_array_equal(affines, draw_affines(0, 1, 5, 2))
        assert np.abs(affines - np.eye(2, 3)).max() <= 0.05
        assert np.abs(affines - draw_affines(0, 2, 5, 2)).max() > 0


class TestCompilation:
    def test_one_program_a_bucket(self, params):
        def run(members):
            predict(MODEL, params, images(12, 8), images(members, 12, 8), images(members, 12, 8, seed=1))
            return inference_pass._forward._cache_size()

        first = run(5)
        assert run(6) == first
        assert run(7) == run(8) == first + 1

    def test_padding_to_a_bucket_changes_nothing(self, params):
        # Five members are padded to six; the network itself takes five.
        arrays = images(8, 8), images(5, 8, 8, seed=1), images(5, 8, 8, seed=2)
        expected = MODEL.apply({"params": params}, *(x[None, ..., None] for x in arrays))[0, ..., 0]
        np.testing.assert_allclose(predict(MODEL, params, *arrays, normalize="none").mean, expected, atol=1e-5)

    def test_buckets_are_few_and_close(self):
        sizes = [bucket_size(n) for n in range(1, 1025)]
        assert all(n <= size for n, size in enumerate(sizes, 1))
        assert max(size / n for n, size in enumerate(sizes, 1)) < 1.5
        assert len({size for size in sizes if size <= 32}) == 10
        assert [bucket_size(n) for n in (1, 2, 3, 4, 5, 8, 9, 32)] == [1, 2, 3, 4, 6, 8, 12, 32]


class TestPreprocess:
    def test_padding_is_undone_by_its_slices(self):
        image = images(7, 10, 2)
        padded, inside = pad_to_multiple(image, 8, (0, 1))
        assert padded.shape == (8, 16, 2)
        np.testing.assert_array_equal(padded[inside], image)

    def test_stretching_keeps_what_is_constant_and_labels_whole(self):
        def stretch(image, size, nearest):
            step = tuple(n / new for n, new in zip(image.shape, size, strict=True))
            return Resampling(size, step, (0, 0))(image, nearest=nearest)

        np.testing.assert_allclose(stretch(np.full((6, 8), 0.25), (9, 5), False), 0.25)
        labels = label_maps(1)[0]
        assert set(np.unique(stretch(labels, (13, 5), True))) <= set(np.unique(labels))
        np.testing.assert_array_equal(stretch(labels, (16, 16), True), labels.repeat(2, 0).repeat(2, 1))

    @pytest.mark.parametrize(("size", "shift"), [((9, 12), (0, 0)), ((4, 4), (0.3, -0.2)), ((5, 7), (2, -3))])
    def test_pixels_of_the_same_size_are_cropped_and_padded_with_zeros(self, size, shift):
        image = images(6, 8) + 1
        moved = Resampling(size, (1, 1), shift)(image, nearest=False)
        for row, column in np.ndindex(size):
            place = [(n - new) / 2 for n, new in zip(image.shape, size, strict=True)] + np.array(shift)
            r, c = round(place[0]) + row, round(place[1]) + column
            inside = 0 <= r < 6 and 0 <= c < 8
            assert moved[row, column] == (image[r, c] if inside else 0)

    def test_resampling_reads_the_pixel_at_the_same_place(self):
        """Intensities that are the place in mm: they are what a grid of other pixels reads, each channel."""
        rows, columns = np.indices((20, 30))
        image = np.stack([(rows - 9.5) * 2, (columns - 14.5) * 1.5], axis=-1)
        read = Resampling((11, 13), (1.5 / 2, 1.2 / 1.5), (3 / 2, -2 / 1.5))(image, nearest=False)
        rows, columns = np.indices((11, 13))
        expected = np.stack([(rows - 5) * 1.5 + 3, (columns - 6) * 1.2 - 2], axis=-1)
        np.testing.assert_allclose(read, expected, atol=1e-9)


NAN = images(3, 8, 8)
NAN[1, 2, 3] = np.nan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": images(8)}, "target has shape (8,), expected [H, W] or [H, W, C] with C from 1 to 3"),
        ({"target": images(8, 8, 4)}, "C from 1 to 3"),
        ({"target": NAN[1]}, "target holds 1 NaN or infinite"),
        ({"target": images(8, 8) * np.inf}, "64 NaN or infinite"),
        ({"target": np.full((8, 8), 3.0)}, "target: every pixel is 3"),
        ({"target": np.full((8, 8), "a")}, "expected real numbers"),
        ({"target": images(8, 9)}, "context_in has size (8, 8), expected that of the target, (8, 9)"),
        ({"context_in": images(0, 8, 8), "context_out": images(0, 8, 8)}, "context_in has shape (0, 8, 8"),
        ({"context_in": NAN}, "context_in holds 1 NaN"),
        ({"context_in": np.zeros((3, 8, 8))}, "context_in (pair 0): every pixel is 0"),
        ({"context_in": images(2, 8, 8)}, "2 inputs and 3 outputs"),
        ({"context_out": images(3, 4, 8)}, "context_out has size (4, 8)"),
        ({"context_out": images(3, 8, 8, 2)}, "C from 1 to 1"),
        ({"context_out": images(3, 8, 8), "task": "segmentation"}, "expected a mask or label map with whole numbers"),
        ({"context_out": np.zeros((3, 8, 8)), "task": "segmentation"}, "0 everywhere"),
        ({"context_out": np.full((3, 8, 8), 2**40), "task": "segmentation"}, "whole numbers"),
        ({"context_out": label_maps(), "task": "segmentation", "label_values": [4, 5]}, "label_values: 5 occurs in no"),
        ({"task": "segment"}, "expected image or segmentation"),
        ({"normalize": "minmax"}, "expected percentile, none"),
        ({"bootstrap": -1}, "bootstrap: is -1"),
        ({"bootstrap": 2, "bootstrap_size": 0}, "at least 1 pair"),
        ({"augment": True}, "augment: needs bootstrap"),
        ({"seed": -1}, "seed: is -1"),
        ({"model": UNet(features=4, stages=2)}, "UNet takes no context"),
    ],
)
def test_wrong_input_is_one_line(changes, message, params):
    arguments = {"target": images(8, 8), "context_in": images(3, 8, 8), "context_out": images(3, 8, 8)}
    with pytest.raises(InputError) as error:
        predict(**({"model": MODEL, "params": params} | arguments | changes))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
