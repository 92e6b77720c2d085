"""Steps of several image sizes: each step is a batch of the stream of its size, however it is made."""

from contextlib import closing

import jax
import numpy as np
import pytest
from fake_volumes import write_fake_volumes

from input_pipeline.episodes.config import check_config, default_config
from input_pipeline.episodes.mixed_sizes import MixedSizes, training_stream
from input_pipeline.episodes.threads import episode_iterator
from input_pipeline.store.table import open_collection
from neuralizer_jax.errors import InputError

CROPS = ((32, 48, 3, 3.0), (48, 96, 2, 1.0))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return write_fake_volumes(tmp_path_factory.mktemp("volumes"))


def make_stream(folders, **changes):
    config = default_config()
    config.datasets = tuple(map(str, folders[:1]))
    config.context.max, config.context.pad_to = 2, 2
    config.crops = CROPS
    config.volumes.deformation.probability = 0.0
    for augmentation in config.task_augmentations.values():
        augmentation.probability = 0.0
    config.only.tasks = ("segmentation", "skull_stripping")
    config.update_from_flattened_dict(changes)
    return training_stream(config, open_collection(config.datasets, config.split))


def test_sizes_are_drawn_by_their_weights(folders):
    stream = make_stream(folders)
    assert isinstance(stream, MixedSizes)
    sizes = [stream._of(step).config.size for step in range(400)]
    assert 0.7 < sizes.count(32) / 400 < 0.8
    assert sizes == [make_stream(folders)._of(step).config.size for step in range(400)]


def test_each_step_is_a_batch_of_its_stream(folders):
    stream = make_stream(folders)
    with closing(episode_iterator(stream, 0, threads=2)) as batches:
        shapes = set()
        for step, batch in zip(range(8), batches, strict=False):
            its = stream._of(step)
            for name, value in its.episodes(step).items():
                np.testing.assert_array_equal(value, batch[name])
                shape, dtype = stream.episodes_spec[name]
                assert value.dtype == dtype
                assert all(known in (None, length) for known, length in zip(shape, value.shape, strict=True))
            shapes.add(batch["target_in"].shape)
    assert shapes == {(3, 32, 32, 3), (2, 48, 48, 3)}


def test_by_tf_data(folders):
    pytest.importorskip("tensorflow")
    from input_pipeline.episodes.tf_data import episode_dataset

    stream = make_stream(folders)
    elements = episode_dataset(stream, 2, parallel=2, ahead=1).take(4).as_numpy_iterator()
    for step, batch in enumerate(elements, 2):
        for name, value in stream.batch(step).items():
            np.testing.assert_array_equal(value, batch[name])


def test_an_accelerator_knows_the_size_of_a_step(folders):
    stream = make_stream(folders, apply="device")
    for step in range(4):
        batch = stream.batch(step)
        assert batch.keys() == stream.slices_spec.keys()
        made = jax.eval_shape(stream.apply_on_device, batch | stream.stored)
        assert made["target_in"].shape[1] == stream._of(step).config.size


@pytest.mark.parametrize(
    "crops", [((96, 96, 4),), ((96, 96, 0, 1.0),), ((96, 300, 1, 1.0),), ((96, 96, 1, 1.0), (96, 192, 1, 1.0))]
)
def test_wrong_crops(crops):
    config = default_config()
    config.datasets, config.crops = ("data",), crops
    with pytest.raises(InputError, match=r"crops: .*, expected"):
        check_config(config)
