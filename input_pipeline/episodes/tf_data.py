"""The episodes as a tf.data pipeline: the only module that imports TensorFlow, which never sees an accelerator."""

import os

import numpy as np

from input_pipeline.episodes.batches import EpisodeStream

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import tensorflow as tf

tf.config.set_visible_devices([], "GPU")


def episode_dataset(
    stream: EpisodeStream, start: int = 0, *, parallel: int | None = None, ahead: int = 4
) -> tf.data.Dataset:
    """The batches from step `start` on, in order: the same whatever the number of parallel calls.

    Args:
        stream: makes the batches.
        start: the first step.
        parallel: batches made at the same time; None: tf.data's choice.
        ahead: so many are kept in advance.

    Returns:
        Dictionaries of tensors: episodes, or what `EpisodeStream.gathered` gives where the device applies the tasks.
    """
    make = stream.episodes if stream.config.apply == "host" else stream.gathered
    example = make(start)
    names = list(example)
    types = [tf.as_dtype(value.dtype) for value in example.values()]
    # The number of context members changes from batch to batch.
    free = {"context_in": 1, "context_out": 1, "context_mask": 1, "images": 2, "masks": 1, "labels": 1, "flip": 1}

    def made(step: int) -> list[np.ndarray]:
        arrays = make(int(step))
        return [np.asarray(arrays[name]) for name in names]

    def batch(step: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.numpy_function(made, [step], types)
        for name, value in zip(names, values, strict=True):
            shape = list(example[name].shape)
            if name in free:
                shape[free[name]] = None
            value.set_shape(shape)
        return dict(zip(names, values, strict=True))

    steps = tf.data.Dataset.range(start, np.iinfo(np.int64).max)
    return steps.map(batch, num_parallel_calls=parallel or tf.data.AUTOTUNE, deterministic=True).prefetch(ahead)
