"""Batches of training episodes, each a pure function of configuration, seed and step: plan, gather, apply.

`EpisodeStream` makes any batch; `episode_iterator` and `stream` run it ahead of the training, in other threads. With
`apply = "host"` episodes are finished here. With `apply = "device"` the training step's accelerator finishes them with
`EpisodeStream.finish`, and only slices travel.
"""

from functools import cached_property

import jax
import numpy as np
from ml_collections import ConfigDict

from input_pipeline.episode_apply import episode_keys, image_function, make_episodes, make_images
from input_pipeline.episode_config import check_config
from input_pipeline.episode_gather import gather
from input_pipeline.episode_plan import EpisodePlanner, Plan
from input_pipeline.operations import TASKS
from input_pipeline.slice_collection import open_collection
from neuralizer_jax.errors import InputError
from neuralizer_jax.preprocess import bucket_size

Arrays = dict[str, np.ndarray]

# A host makes so many images in one call: one compiled program, whatever the size of the context.
_CHUNK = 16

_CHANNELS = {"two images": 2, "three images": 3}


class EpisodeStream:
    """The batches of a configuration.

    Attributes:
        config: `episode_config.default_config`, changed.
        collection: the slices of its datasets.
        planner: what can be drawn from them.
        rows: of the global batch, those that this process makes.
        channels: of an image that the tasks need.
    """

    def __init__(self, config: ConfigDict, *, process: int = 0, processes: int = 1):
        """Opens the datasets and checks the configuration.

        Args:
            config: of the stream.
            process: number of this process.
            processes: how many share a batch.

        Raises:
            InputError: for a configuration that is wrong, or that the data cannot serve.
        """
        check_config(config)
        if config.batch_size % processes:
            raise InputError(f"batch_size is {config.batch_size}, expected a multiple of the {processes} processes")
        self.config = config
        self.collection = open_collection(config.datasets, config.split)
        self.planner = EpisodePlanner(config, self.collection)
        share = config.batch_size // processes
        self.rows = range(process * share, (process + 1) * share)
        self.channels = max(_CHANNELS.get(TASKS[name].needs, 1) for name in self.planner.sources)

    def plan(self, step: int) -> Plan:
        """What the batch of a step is made of."""
        return self.planner.plan(step, self.rows)

    def gathered(self, step: int) -> Arrays:
        """The slices of a step's batch, for `finish`: the context padded to a size of `bucket_size`.

        Returns:
            `step` int64, `task` `[B]` int32, `on` `[B, A]` bool, `context_mask` `[B, N]` bool, `images`
            `[B, 1 + N, C, H, W]` uint16, `masks` and `labels` `[B, 1 + N, H, W]` uint8.
        """
        return self.gathered_plan(self.plan(step), step)

    def episodes(self, step: int) -> Arrays:
        """The batch of a step, made on the host's CPU; see `finish`."""
        return self.made_plan(self.plan(step), step)

    def gathered_plan(self, plan: Plan, step: int) -> Arrays:
        """The slices of a plan; random numbers are those of the step."""
        size = bucket_size(plan.members)
        slices = gather(plan, self.collection, self.channels, members=size)
        valid = np.broadcast_to(np.arange(size) < plan.members, (len(plan.task), size))
        return {
            "step": np.int64(step),
            "task": plan.task,
            "on": plan.augmentations,
            "context_mask": np.array(valid),
            "images": slices.images,
            "masks": slices.masks,
            "labels": slices.labels,
        }

    def made_plan(self, plan: Plan, step: int) -> Arrays:
        """The episodes of a plan, made on the host's CPU; random numbers are those of the step."""
        arrays = self.gathered_plan(plan, step)
        batch, images = arrays["masks"].shape[:2]
        made = np.array([(b, i) for b in range(batch) for i in range(1 + plan.members)])
        padded = np.concatenate([made, np.repeat(made[-1:], -len(made) % _CHUNK, axis=0)])
        inputs = np.zeros((batch, images, *arrays["masks"].shape[2:], 3), np.float32)
        outputs = np.zeros((*inputs.shape[:-1], 1), np.float32)
        with jax.default_device(self._cpu):
            keys = episode_keys(self.config.seed, step, np.arange(batch) + self.rows.start)
            for start in range(0, len(made), _CHUNK):
                b, i = padded[start : start + _CHUNK].T
                drawn = (arrays["task"][b], arrays["on"][b], keys[b], i.astype(np.int32))
                slices = (arrays["images"][b, i], arrays["masks"][b, i], arrays["labels"][b, i])
                chunk_inputs, chunk_outputs = self._images(*drawn, *slices)
                real = slice(0, min(_CHUNK, len(made) - start))
                inputs[b[real], i[real]] = np.asarray(chunk_inputs)[real]
                outputs[b[real], i[real]] = np.asarray(chunk_outputs)[real]
        return _episode(inputs, outputs, arrays["context_mask"], arrays["task"])

    def finish(self, arrays: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """Episodes of what `gathered` gave, on the accelerator; can be called inside of `jax.jit`.

        Returns:
            float32 in [0, 1]: `target_in` `[B, H, W, 3]`, `target_out` `[B, H, W, 1]`, `context_in` `[B, N, H, W, 3]`,
            `context_out` `[B, N, H, W, 1]`; bool: `context_mask` `[B, N]`, `is_segmentation` `[B]`; `task` `[B]` int32.
        """
        rows = np.arange(len(arrays["task"])) + self.rows.start
        keys = episode_keys(self.config.seed, arrays["step"], rows)
        inputs, outputs = self._episodes(
            arrays["task"], arrays["on"], keys, arrays["images"], arrays["masks"], arrays["labels"]
        )
        return _episode(inputs, outputs, arrays["context_mask"], arrays["task"])

    @cached_property
    def _cpu(self) -> jax.Device:
        return jax.devices("cpu")[0]

    @cached_property
    def _images(self):
        return make_images(image_function(self.config, self.planner.sources))

    @cached_property
    def _episodes(self):
        return make_episodes(image_function(self.config, self.planner.sources))


def _episode(inputs, outputs, context_mask, task):
    is_segmentation = np.array([task.is_segmentation for task in TASKS.values()])
    return {
        "target_in": inputs[:, 0],
        "target_out": outputs[:, 0],
        "context_in": inputs[:, 1:],
        "context_out": outputs[:, 1:],
        "context_mask": context_mask,
        "is_segmentation": is_segmentation[task]
        if isinstance(task, np.ndarray)
        else jax.numpy.asarray(is_segmentation)[task],
        "task": task,
    }
