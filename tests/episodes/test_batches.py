"""Batches are the contract's, the same on every way they can be made, and open to tasks of one's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fake_collection import SIZE, fake_collection

from input_pipeline.episodes.batches import EpisodeStream
from input_pipeline.episodes.config import default_config
from input_pipeline.episodes.pictures import episode_picture
from input_pipeline.episodes.threads import episode_iterator
from input_pipeline.episodes.validation import validation_batches, validation_config
from input_pipeline.ops import registry
from input_pipeline.ops.registry import TASK_AUGMENTATIONS, TASKS
from neuralizer_jax.errors import InputError


def configured(**changes):
    config = default_config()
    config.datasets = ("heads", "regions", "lesions")
    config.classes.min_pixels = 12
    config.batch_size = 4
    config.size = SIZE
    config.context.max = 3
    config.context.pad_to = 1
    for augmentation in config.task_augmentations.values():
        augmentation.probability = 0.4
    config.update_from_flattened_dict(changes)
    return config


def make_stream(config, **share):
    return EpisodeStream(config, fake_collection(config.datasets), **share)


@pytest.fixture(scope="module")
def stream():
    return make_stream(configured())


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def take(iterator, count):
    batches = [next(iterator) for _ in range(count)]
    iterator.close()
    return batches


class TestContract:
    def test_shapes_and_ranges(self, stream):
        for step in range(12):
            batch = stream.episodes(step)
            members = stream.plan(step).members
            padded = batch["context_mask"].shape[1]
            assert batch["target_in"].shape == (4, SIZE, SIZE, 3)
            assert batch["target_out"].shape == (4, SIZE, SIZE, 1)
            assert batch["context_in"].shape == (4, padded, SIZE, SIZE, 3)
            assert batch["context_out"].shape == (4, padded, SIZE, SIZE, 1)
            assert (batch["context_mask"] == (np.arange(padded) < members)).all()
            assert batch["task"].dtype == np.int32
            for name in ("target_in", "target_out", "context_in", "context_out"):
                assert batch[name].dtype == np.float32
                assert np.isfinite(batch[name]).all()
                assert batch[name].min() >= 0
                assert batch[name].max() <= 1
            for b in range(4):
                assert batch["is_segmentation"][b] == list(TASKS.values())[batch["task"][b]].is_segmentation
                if batch["is_segmentation"][b]:
                    assert set(np.unique(batch["target_out"][b])) <= {0, 1}
                    assert set(np.unique(batch["context_out"][b])) <= {0, 1}

    def test_specs_are_what_there_is(self, stream):
        for spec, batch in ((stream.slices_spec, stream.slices(1)), (stream.episodes_spec, stream.episodes(1))):
            assert spec.keys() == batch.keys()
            for name, (shape, dtype) in spec.items():
                assert batch[name].dtype == dtype
                assert len(batch[name].shape) == len(shape)
                assert all(known in (None, length) for known, length in zip(shape, batch[name].shape, strict=True))

    def test_every_image_differs_from_the_others(self, stream):
        batch = stream.episodes(0)
        images = [batch["target_in"][0], *batch["context_in"][0][batch["context_mask"][0]]]
        assert all(not np.array_equal(a, b) for n, a in enumerate(images) for b in images[n + 1 :])


# Quick to compile.
FEW = {f"task_augmentations.{name}.probability": 0.0 for name in TASK_AUGMENTATIONS}
FEW |= {"only.tasks": ("modality_transfer", "segmentation")}


class TestSize:
    @pytest.mark.parametrize("size", [24, 48])
    def test_images_of_any_size(self, size):
        batch = make_stream(configured(size=size, **FEW)).episodes(1)
        assert batch["target_in"].shape == (4, size, size, 3)
        assert batch["context_out"].shape[2:] == (size, size, 1)
        for name in ("target_in", "target_out", "context_in", "context_out"):
            assert 0 <= batch[name].min() <= batch[name].max() <= 1
        assert set(np.unique(batch["target_out"][batch["is_segmentation"]])) <= {0, 1}

    def test_half_the_size_is_the_mean_of_four_pixels(self):
        still = {
            f"spatial.{part}.{kind}_probability": 0.0 for part in ("own", "shared") for kind in ("affine", "elastic")
        }
        whole, half = (make_stream(configured(size=size, **still, **FEW)).episodes(0) for size in (SIZE, SIZE // 2))

        def blocks(images):
            return images.reshape(*images.shape[:-3], SIZE // 2, 2, SIZE // 2, 2, -1).mean((-4, -2))

        np.testing.assert_allclose(half["context_in"], blocks(whole["context_in"]), atol=1e-4)
        segments = whole["is_segmentation"]
        assert segments.any()
        np.testing.assert_array_equal(half["target_out"][segments], blocks(whole["target_out"][segments]) >= 0.5)

    @pytest.mark.parametrize("size", [16, 24])
    def test_the_middle_of_the_slices(self, size):
        """Of half the extent, in pixels as large as the whole's or twice as large."""
        still = {
            f"spatial.{part}.{kind}_probability": 0.0 for part in ("own", "shared") for kind in ("affine", "elastic")
        }
        whole = make_stream(configured(size=2 * size, **still, **FEW)).episodes(0)
        middle = make_stream(configured(size=size, extent=96, **still, **FEW)).episodes(0)
        inner = slice(size // 2, size // 2 + size)
        for name in ("target_in", "target_out", "context_in", "context_out"):
            np.testing.assert_allclose(middle[name], whole[name][..., inner, inner, :], atol=1e-5)

    def test_padding_changes_nothing_else(self, stream):
        padded = make_stream(configured(**{"context.pad_to": 6}))
        for step in range(3):
            batch, expected = padded.episodes(step), stream.episodes(step)
            members = expected["context_mask"].shape[1]
            assert batch["context_mask"].shape == (4, 6)
            for name in ("context_in", "context_out", "context_mask"):
                assert not batch[name][:, members:].any()
                batch[name] = batch[name][:, :members]
            assert_same(batch, expected)

    @pytest.mark.parametrize(
        ("multiple", "sizes"), [(1, {1, 2, 3, 4, 6, 8, 12, 16}), (4, {4, 8, 12, 16}), (8, {8, 16})]
    )
    def test_few_sizes_of_the_context(self, multiple, sizes):
        stream = make_stream(configured(**{"context.max": 16, "context.pad_to": multiple}))
        assert sizes == {stream.slices(step)["context_mask"].shape[1] for step in range(80)}

    def test_without_a_context(self):
        batch = make_stream(configured(**{"context.min": 0, "context.max": 0}, **FEW)).episodes(0)
        assert batch["target_in"].shape == (4, SIZE, SIZE, 3)
        assert batch["context_in"].shape == (4, 0, SIZE, SIZE, 3)
        assert batch["context_mask"].shape == (4, 0)


class TestDeterminism:
    def test_threads_and_start_do_not_matter(self, stream):
        expected = [stream.episodes(step) for step in range(5)]
        for threads in (1, 3):
            for one, other in zip(take(episode_iterator(stream, threads=threads), 5), expected, strict=True):
                assert_same(one, other)
        for one, other in zip(take(episode_iterator(stream, 3), 2), expected[3:], strict=True):
            assert_same(one, other)

    def test_a_new_stream_gives_the_same(self, stream):
        assert_same(make_stream(configured()).episodes(7), stream.episodes(7))

    def test_another_seed_gives_another(self, stream):
        other = make_stream(configured(seed=5)).episodes(7)
        assert other["target_in"].shape != stream.episodes(7)["target_in"].shape or not np.array_equal(
            other["target_in"], stream.episodes(7)["target_in"]
        )

    def test_processes_share_the_batch(self, stream):
        parts = [make_stream(configured(), process=p, processes=2).episodes(2) for p in range(2)]
        assert_same({name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, stream.episodes(2))
        with pytest.raises(InputError, match="a multiple of the 3 processes"):
            make_stream(configured(), processes=3)

    def test_the_device_gives_what_the_host_gives(self):
        stream = make_stream(configured(**{"context.min": 2, "context.max": 2, "batch_size": 12}))
        for step in range(2):
            slices = stream.slices(step)
            assert slices["images"].dtype == np.uint16
            finished = jax.jit(stream.apply_on_device)(slices)
            expected = stream.episodes(step)
            valid = expected["context_mask"]
            for name, value in expected.items():
                mine, theirs = np.asarray(finished[name]), value
                if name in ("context_in", "context_out"):
                    mine, theirs = mine[valid], theirs[valid]
                if value.dtype == np.float32:
                    # A mask's border may fall on either side of a rounding.
                    assert np.mean(np.abs(mine - theirs) > 1e-3) < 2e-3, name
                else:
                    np.testing.assert_array_equal(mine, theirs)

    @pytest.mark.parametrize("apply", ["host", "device"])
    def test_tf_data_gives_the_same(self, apply):
        tf = pytest.importorskip("tensorflow")
        from input_pipeline.episodes.tf_data import episode_dataset

        its = make_stream(configured(apply=apply))
        expected = take(episode_iterator(its, 2), 4)
        dataset = episode_dataset(its, 2, parallel=2, ahead=1)
        for one, other in zip(dataset.as_numpy_iterator(), expected, strict=False):
            assert_same(one, other)
        spec = its.episodes_spec if apply == "host" else its.slices_spec
        assert dataset.element_spec == {name: tf.TensorSpec(*own) for name, own in spec.items()}


class TestSharing:
    """The task is the same for target and context."""

    def test_one_task_s_images_are_changed_alike(self, stream):
        """Inverted masks are inverted in target and context."""
        changes = {f"task_augmentations.{name}.probability": 0.0 for name in TASK_AUGMENTATIONS}
        changes |= {"only.tasks": ("segmentation",), "task_augmentations.mask_invert.probability": 0.5}
        its = make_stream(configured(**changes))
        place = list(TASK_AUGMENTATIONS).index("mask_invert")
        seen = set()
        for step in range(6):
            plan, batch = its.plan(step), its.episodes(step)
            for b in range(4):
                inverted = bool(plan.augmentations[b, place])
                seen.add(inverted)
                outputs = [batch["target_out"][b], *batch["context_out"][b][batch["context_mask"][b]]]
                assert all((output.mean() > 0.5) == inverted for output in outputs)
        assert seen == {True, False}


class TestValidation:
    def test_a_fixed_list_balanced_over_tasks(self):
        its = make_stream(validation_config(configured(batch_size=6)))
        batches = list(validation_batches(its, 2))
        for size in (1, 8, 32):
            tasks = np.concatenate([b["task"] for b in batches if b["context_mask"].sum(1)[0] == size])
            np.testing.assert_array_equal(np.bincount(tasks, minlength=9), 2)
        for one, other in zip(
            batches, validation_batches(make_stream(validation_config(configured(batch_size=6))), 2), strict=True
        ):
            assert_same(one, other)

    def test_nothing_is_augmented(self):
        config = validation_config(configured(split="train+val"))
        assert config.split == "val"
        its = make_stream(config)
        plans = [its.plan(step) for step in range(20)]
        assert not any(plan.augmentations.any() or plan.flip.any() for plan in plans)
        step = next(s for s, plan in enumerate(plans) if (plan.task == 0).any())
        b = int(np.flatnonzero(plans[step].task == 0)[0])
        expected = its.slices(step)["masks"][b, 0]
        np.testing.assert_array_equal(its.episodes(step)["target_out"][b, ..., 0], expected)


class TestPictures:
    def test_show_no_padding(self):
        padded = make_stream(configured(**{"context.pad_to": 6}))
        picture = episode_picture(padded, "skull_stripping", 0)
        assert len(picture.inputs) == len(picture.outputs) == 4
        assert all(image.any() for images in (picture.inputs, picture.outputs) for image in images)


class TestAddingToIt:
    def test_a_task_and_an_augmentation_of_one_s_own(self, monkeypatch):
        """As in the README: registered before the configuration is made, nothing else to change."""
        monkeypatch.setattr(registry, "TASKS", TASKS)
        monkeypatch.setitem(TASKS, "negative", None)
        del TASKS["negative"]

        def negative(shared, own, images, mask):
            return images.at[..., 1:].set(0), shared["top"] - images[..., :1]

        def brighter(shared, own, image_in, image_out):
            return jnp.minimum(1, image_in * shared), image_out

        try:
            registry.register_task(
                registry.Task(
                    "negative",
                    needs="image",
                    defaults={"top": 1.0},
                    sample=lambda key, config: {"top": config.top},
                    sample_image=registry.nothing_own,
                    apply=negative,
                )
            )
            registry.register_task_augmentation(
                registry.TaskAugmentation(
                    "brighter",
                    touches="input",
                    fits=lambda task: task.needs == "image",
                    defaults={"factor": (1.5, 2.0)},
                    sample=lambda key, config: jax.random.uniform(key, (), jnp.float32, *config.factor),
                    sample_image=registry.nothing_own,
                    apply=brighter,
                )
            )
            changes = {"only.tasks": ("negative",), "task_augmentations.brighter.probability": 0.0}
            config = validation_config(configured(**changes))
            plain = make_stream(config).episodes(0)
            np.testing.assert_allclose(plain["target_out"], 1 - plain["target_in"][..., :1], atol=1e-6)
            with config.unlocked():
                config.task_augmentations.brighter.probability = 1.0
            bright = make_stream(config).episodes(0)
            np.testing.assert_array_equal(bright["target_out"], plain["target_out"])
            assert bright["target_in"].mean() > 1.2 * plain["target_in"].mean()
        finally:
            TASKS.pop("negative", None)
            TASK_AUGMENTATIONS.pop("brighter", None)

    def test_a_name_twice(self):
        with pytest.raises(ValueError, match="denoising: registered already"):
            registry.register_task(TASKS["denoising"])
