"""The episodes as a tf.data pipeline. The only module that imports TensorFlow, which never sees an accelerator."""

import os
from collections.abc import Callable

import numpy as np

from input_pipeline.episodes.batches import EpisodeStream, Spec
from input_pipeline.episodes.mixed_sizes import MixedSizes
from input_pipeline.episodes.plan import DTYPES, Plan

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import tensorflow as tf

tf.config.set_visible_devices([], "GPU")


def episode_dataset(
    stream: EpisodeStream | MixedSizes, start: int = 0, *, parallel: int | None = None, ahead: int = 4
) -> tf.data.Dataset:
    """The batches from step `start` on, in order: those of `threads.episode_iterator`, bit for bit.

    An element of every stage is a whole batch, because the episodes of a batch share the size of their context.

    Args:
        stream: makes the batches.
        start: the first step.
        parallel: calls of a stage that run at the same time; None: tf.data chooses.
        ahead: batches that wait for the training.

    Returns:
        Dictionaries of tensors: episodes, or where `config.apply` is `device` the slices of `EpisodeStream.gather`.
    """
    calls = parallel or tf.data.AUTOTUNE
    dataset = tf.data.Dataset.range(start, np.iinfo(np.int64).max)
    dataset = dataset.map(_plan(stream), num_parallel_calls=calls)
    dataset = dataset.map(_gather(stream), num_parallel_calls=calls)
    if stream.config.apply == "host":
        dataset = dataset.map(_apply(stream), num_parallel_calls=calls)
    return dataset.prefetch(ahead).with_options(_options())


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = True
    # Not TensorFlow's global threads, and no threads inside of an operation: the stages run side by side.
    options.threading.private_threadpool_size = os.cpu_count() or 1
    options.threading.max_intra_op_parallelism = 1
    return options


def _plan(stream: EpisodeStream | MixedSizes) -> Callable:
    def plan(step: tf.Tensor) -> tuple[tf.Tensor, Plan]:
        return step, Plan(*tf.numpy_function(lambda step: [*stream.plan(int(step))], [step], DTYPES))

    return plan


def _gather(stream: EpisodeStream | MixedSizes) -> Callable:
    def gather(step: tf.Tensor, plan: Plan) -> dict[str, tf.Tensor]:
        return _call(lambda step, *plan: stream.gather(Plan(*plan), int(step)), [step, *plan], stream.slices_spec)

    return gather


def _apply(stream: EpisodeStream | MixedSizes) -> Callable:
    def apply(slices: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        names = list(slices)
        return _call(
            lambda *arrays: stream.apply_on_host(dict(zip(names, arrays, strict=True))),
            [*slices.values()],
            stream.episodes_spec,
        )

    return apply


def _call(function: Callable, arguments: list[tf.Tensor], spec: Spec) -> dict[str, tf.Tensor]:
    """Calls a function of NumPy arrays that returns a dictionary of arrays, with the shapes and dtypes of `spec`."""

    def values(*arrays: np.ndarray) -> list[np.ndarray]:
        found = function(*arrays)
        return [found[name] for name in spec]

    tensors = tf.numpy_function(values, arguments, [dtype for _, dtype in spec.values()])
    return {
        name: tf.ensure_shape(tensor, shape) for (name, (shape, _)), tensor in zip(spec.items(), tensors, strict=True)
    }
