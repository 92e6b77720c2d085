"""Batches of training episodes, each a pure function of configuration, seed and step: plan, gather, apply.

`EpisodeStream` makes any batch; `episode_iterator` and `stream` run it ahead of the training, in other threads. With
`apply = "host"` episodes are finished here. With `apply = "device"` the training step's accelerator finishes them with
`EpisodeStream.finish`, and only slices travel.
"""

from functools import cached_property

import jax
import numpy as np
from ml_collections import ConfigDict

from input_pipeline.episodes.apply import SLICE_EXTENT, episode_keys, image_function, make_episodes, make_images
from input_pipeline.episodes.config import check_config
from input_pipeline.episodes.gather import gather
from input_pipeline.episodes.plan import EpisodePlanner, Plan
from input_pipeline.ops.registry import CHANNELS, TASKS
from input_pipeline.store.table import open_collection
from neuralizer_jax.errors import InputError
from neuralizer_jax.preprocess import bucket_size

Arrays = dict[str, np.ndarray]

# A host makes so many images in one call: one compiled program, whatever the size of the context.
_CHUNK = 16


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
        self.channels = max(CHANNELS[TASKS[name].needs] for name in self.planner.sources)
        # Of a whole slice in the episodes' pixels.
        self._slice_size = config.size * SLICE_EXTENT // config.extent

    def plan(self, step: int) -> Plan:
        """What the batch of a step is made of."""
        return self.planner.plan(step, self.rows)

    def subjects(self) -> list[tuple[str, str, str]]:
        """Dataset, subject and person of all whose images its episodes may show."""
        collection = self.collection
        shown = {int(s) for sources in self.planner.sources.values() for source in sources for s in source.subjects}
        entries = [(collection.names[collection.dataset_of[s]], collection.entries[s]) for s in sorted(shown)]
        return [(name, entry["subject"], entry["person"]) for name, entry in entries]

    def gathered(self, step: int) -> Arrays:
        """The slices of a step's batch, for `finish`: the context padded to `context.pad_to`, and to a `bucket_size`.

        Returns:
            `step` int64, `row` `[B]` int32 in the global batch, `task` `[B]` int32, `on` `[B, A]` bool, `context_mask`
            `[B, N]` bool, `images` `[C, B, 1 + N, H, W]` uint16, `masks` and `labels` `[B, 1 + N, H, W]` uint8,
            `flip` `[B, 1 + N]` bool.
        """
        return self.gathered_plan(self.plan(step), step)

    def episodes(self, step: int) -> Arrays:
        """The batch of a step, made on the host's CPU; see `finish`."""
        return self.made_plan(self.plan(step), step)

    def gathered_plan(self, plan: Plan, step: int) -> Arrays:
        """The slices of a plan; random numbers are those of the step."""
        members = self._padded(plan.members)
        return {
            "step": np.int64(step),
            "row": np.array(self.rows, np.int32),
            "task": plan.task,
            "on": plan.augmentations,
            "context_mask": _context_mask(plan, members),
            **gather(plan, self.collection, self.channels, members, self._slice_size),
        }

    def made_plan(self, plan: Plan, step: int) -> Arrays:
        """The episodes of a plan, made on the host's CPU; random numbers are those of the step."""
        members, size = self._padded(plan.members), self.config.size
        slices = gather(plan, self.collection, self.channels, plan.members, self._slice_size)
        batch, count, height, width = slices["masks"].shape
        inputs = np.empty((batch, 1 + members, size, size, 3), np.float32)
        outputs = np.empty((batch, 1 + members, size, size, 1), np.float32)
        inputs[:, count:] = outputs[:, count:] = 0
        with jax.default_device(self._cpu):
            keys = jax.random.key_data(episode_keys(self.config.seed, step, np.array(self.rows[:batch])))
            keys = np.asarray(keys)
            images = slices["images"].reshape(self.channels, -1, height, width)
            masks, labels = (slices[name].reshape(-1, height, width) for name in ("masks", "labels"))
            flip = slices["flip"].reshape(-1)
            for start in range(0, batch * count, _CHUNK):
                # The last chunk is filled up with images that are there already, which are not made again.
                places = np.minimum(np.arange(start, start + _CHUNK), batch * count - 1)
                b, i = np.divmod(places, count)
                drawn = plan.task[b], plan.augmentations[b], jax.random.wrap_key_data(keys[b]), i.astype(np.int32)
                there = min(_CHUNK, batch * count - start)
                made = self._images(there, *drawn, images[:, places], masks[places], labels[places], flip[places])
                for array, values in zip((inputs, outputs), map(np.asarray, made), strict=True):
                    for image in range(there):
                        array[b[image], i[image]] = values[image]
        return _episode(inputs, outputs, _context_mask(plan, members), plan.task)

    def finish(self, arrays: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """Episodes of what `gathered` gave, on the accelerator; can be called inside of `jax.jit`.

        Returns:
            float32 in [0, 1]: `target_in` `[B, H, W, 3]`, `target_out` `[B, H, W, 1]`, `context_in` `[B, N, H, W, 3]`,
            `context_out` `[B, N, H, W, 1]`; bool: `context_mask` `[B, N]`, `is_segmentation` `[B]`; `task` `[B]` int32.
        """
        keys = episode_keys(self.config.seed, arrays["step"], arrays["row"])
        slices = (arrays[name] for name in ("images", "masks", "labels", "flip"))
        inputs, outputs = self._episodes(arrays["task"], arrays["on"], keys, *slices)
        return _episode(inputs, outputs, arrays["context_mask"], arrays["task"])

    def _padded(self, members: int) -> int:
        """Context members with those of padding; none stay none."""
        return bucket_size(max(members, self.config.context.pad_to)) if members else 0

    @cached_property
    def _cpu(self) -> jax.Device:
        return jax.devices("cpu")[0]

    @cached_property
    def _images(self):
        return make_images(image_function(self.config, self.planner.sources), self.config.size)

    @cached_property
    def _episodes(self):
        return make_episodes(image_function(self.config, self.planner.sources))


def _context_mask(plan: Plan, members: int) -> np.ndarray:
    return np.tile(np.arange(members) < plan.members, (len(plan.task), 1))


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
