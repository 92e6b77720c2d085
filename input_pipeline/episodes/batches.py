"""Batches of training episodes. Each is a pure function of configuration, seed and step.

`EpisodeStream` has three steps: `plan` (what to show), `gather` (fetch the slices, or say where in volumes they lie),
and `apply_on_host` or, inside the compiled training step, `apply_on_device` (make the episodes). `tf_data` and
`threads` run them ahead of the training.
"""

import math
from collections.abc import Callable
from functools import cached_property

import jax
import numpy as np
from ml_collections import ConfigDict

from input_pipeline.episodes.apply import episode_keys, image_function, make_episodes, make_images, slice_reader
from input_pipeline.episodes.config import check_config
from input_pipeline.episodes.gather import gather, reduction
from input_pipeline.episodes.gather_volumes import SHAPES, gather_volumes
from input_pipeline.episodes.plan import EpisodePlanner, Plan
from input_pipeline.episodes.read_volumes import Stored, stored_arrays, volume_reader
from input_pipeline.ops.registry import CHANNELS, TASK_AUGMENTATIONS, TASKS
from input_pipeline.space.grid import SLICE_SHAPE
from input_pipeline.store.table import SliceCollection
from input_pipeline.store.volume_table import VolumeCollection
from neuralizer_jax.errors import InputError
from neuralizer_jax.preprocess import bucket_size

Arrays = dict[str, np.ndarray]

# Shape and dtype of each array of a batch; None: the number of context members, which changes from batch to batch.
Spec = dict[str, tuple[tuple[int | None, ...], type]]

# Images that one call makes on the host: one compiled program serves all context sizes.
_CHUNK = 16

# Arrays at multiples of this many bytes are taken by TensorFlow and JAX without a copy.
_ALIGNMENT = 64


class EpisodeStream:
    """The batches of a configuration.

    Attributes:
        config: `config.default_config`, changed.
        collection: the slices of its datasets.
        planner: plans episodes.
        rows: the rows of the global batch that this process makes.
        channels: image channels that the tasks need.
    """

    def __init__(self, config: ConfigDict, collection: SliceCollection, *, process: int = 0, processes: int = 1):
        """Checks the configuration and lists what the data can show.

        Args:
            config: `config.default_config`, changed.
            collection: `open_collection(config.datasets, config.split)`.
            process: number of this process.
            processes: number of processes that share a batch.

        Raises:
            InputError: for a wrong configuration, or one that the data cannot serve.
        """
        check_config(config)
        if config.batch_size % processes:
            raise InputError(f"batch_size is {config.batch_size}, expected a multiple of the {processes} processes")
        self.config = config
        self.collection = collection
        self.planner = EpisodePlanner(config, collection)
        share = config.batch_size // processes
        self.rows = range(process * share, (process + 1) * share)
        self.channels = max(CHANNELS[TASKS[name].needs] for name in self.planner.sources)
        # Width of a whole slice in pixels of the episodes.
        self._slice_size = config.size * SLICE_SHAPE[0] // config.extent

    def subjects(self) -> list[tuple[str, str, str]]:
        """Dataset, subject and person of every subject whose images the episodes may show."""
        collection = self.collection
        shown = {int(s) for sources in self.planner.sources.values() for source in sources for s in source.subjects}
        entries = [(collection.names[collection.dataset_of[s]], collection.entries[s]) for s in sorted(shown)]
        return [(name, entry["subject"], entry["person"]) for name, entry in entries]

    def plan(self, step: int) -> Plan:
        """Plans the batch of a step."""
        return self.planner.plan(step, self.rows)

    def gather(self, plan: Plan, step: int) -> Arrays:
        """Fetches the slices of a plan. The context is padded to a multiple of `context.pad_to` and to a `bucket_size`.

        Args:
            plan: of at most as many episodes as this process makes.
            step: its random numbers make the episodes.

        Returns:
            `step` int64, `row` `[B]` int32 in the global batch, `task` `[B]` int32, `on` `[B, A]` bool, `context_mask`
            `[B, N]` bool; of slices `images` `[C, B, 1 + N, H, W]` uint16, `masks` and `labels` `[B, 1 + N, H, W]`
            uint8, `flip` `[B, 1 + N]` bool; of volumes what `gather_volumes` returns, integers that say where the
            slices lie.
        """
        multiple = self.config.context.pad_to
        padded = bucket_size(-(-plan.members // multiple) * multiple) if plan.members else 0
        if isinstance(self.collection, VolumeCollection):
            gathered = gather_volumes(plan, self.collection, padded)
        else:
            gathered = gather(plan, self.collection, self.channels, padded, self._slice_size)
        return {
            "step": np.array(step, np.int64),
            "row": np.array(self.rows[: len(plan.task)], np.int32),
            "task": plan.task,
            "on": plan.augmentations,
            "context_mask": np.tile(np.arange(padded) < plan.members, (len(plan.task), 1)),
            **gathered,
        }

    def apply_on_host(self, slices: Arrays) -> Arrays:
        """Makes the episodes of what `gather` returned, on the CPU.

        Returns:
            float32 in [0, 1]: `target_in` `[B, H, W, 3]`, `target_out` `[B, H, W, 1]`, `context_in` `[B, N, H, W, 3]`,
            `context_out` `[B, N, H, W, 1]`; bool: `context_mask` `[B, N]`, `is_segmentation` `[B]`; `task` `[B]` int32;
            of volumes also `plane` `[B]` int32, index into `PLANE_NAMES`.
        """
        batch, members = slices["context_mask"].shape
        there = int(slices["context_mask"][0].sum())
        shape = (self.config.size, self.config.size)
        targets = [_aligned((batch, *shape, channels)) for channels in (3, 1)]
        contexts = [_aligned((batch, members, *shape, channels)) for channels in (3, 1)]
        for context in contexts:
            context[:, there:] = 0
        # Row and number of each image. The last call is filled up with repeated images, which are not computed.
        row, number = np.divmod(np.arange(batch * (1 + there)), 1 + there)
        images = self._images(slices)
        with jax.default_device(self._cpu):
            keys = np.asarray(jax.random.key_data(episode_keys(self.config.seed, int(slices["step"]), slices["row"])))
            for start in range(0, len(row), _CHUNK):
                chosen = np.minimum(np.arange(start, start + _CHUNK), len(row) - 1)
                b, i = row[chosen], number[chosen]
                count = min(_CHUNK, len(row) - start)
                own = jax.random.wrap_key_data(jax.numpy.asarray(keys[b]))
                made = self._make_images(
                    count, slices["task"][b], slices["on"][b], own, i.astype(np.int32), self._stored_on_host,
                    {name: array[b, i] for name, array in images.items()},
                )  # fmt: skip
                for target, context, values in zip(targets, contexts, map(np.asarray, made), strict=True):
                    for place in range(count):
                        of = target[b[place]] if i[place] == 0 else context[b[place], i[place] - 1]
                        of[:] = values[place]
        is_segmentation = np.array([task.is_segmentation for task in TASKS.values()])[slices["task"]]
        return _episodes(targets[0], targets[1], contexts[0], contexts[1], slices, is_segmentation)

    def apply_on_device(self, slices: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """As `apply_on_host`, on the accelerator; can be called inside of `jax.jit`. Padding holds some image.

        Args:
            slices: what `gather` returned, with the arrays of `stored`.
        """
        keys = episode_keys(self.config.seed, slices["step"], slices["row"])
        stored = {name: slices[name] for name in self.stored}
        inputs, outputs = self._make_episodes(slices["task"], slices["on"], keys, stored, self._images(slices))
        is_segmentation = jax.numpy.array([task.is_segmentation for task in TASKS.values()])[slices["task"]]
        return _episodes(inputs[:, 0], outputs[:, 0], inputs[:, 1:], outputs[:, 1:], slices, is_segmentation)

    def slices(self, step: int) -> Arrays:
        """The slices of a step's batch: plan, gather."""
        return self.gather(self.plan(step), step)

    def episodes(self, step: int) -> Arrays:
        """The episodes of a step's batch, made on the CPU: plan, gather, apply."""
        return self.apply_on_host(self.slices(step))

    def batch(self, step: int) -> Arrays:
        """What the host makes for a step: the episodes, or where `config.apply` is `device` the slices."""
        return self.episodes(step) if self.config.apply == "host" else self.slices(step)

    @property
    def slices_spec(self) -> Spec:
        """Shapes and dtypes of what `gather` returns for a step."""
        batch = len(self.rows)
        if isinstance(self.collection, VolumeCollection):
            images: Spec = {name: ((batch, None, *shape), np.int32) for name, shape in SHAPES.items()}
        else:
            width = self.collection.datasets[0].images.shape[-1]
            width //= reduction(width, self._slice_size)
            images = {
                "images": ((self.channels, batch, None, width, width), np.uint16),
                "masks": ((batch, None, width, width), np.uint8),
                "labels": ((batch, None, width, width), np.uint8),
                "flip": ((batch, None), np.bool_),
            }
        return {
            "step": ((), np.int64),
            "row": ((batch,), np.int32),
            "task": ((batch,), np.int32),
            "on": ((batch, len(TASK_AUGMENTATIONS)), np.bool_),
            "context_mask": ((batch, None), np.bool_),
            **images,
        }

    @property
    def episodes_spec(self) -> Spec:
        """Shapes and dtypes of what `apply_on_host` returns for a step."""
        batch, size = len(self.rows), self.config.size
        plane: Spec = {"plane": ((batch,), np.int32)} if isinstance(self.collection, VolumeCollection) else {}
        return plane | {
            "target_in": ((batch, size, size, 3), np.float32),
            "target_out": ((batch, size, size, 1), np.float32),
            "context_in": ((batch, None, size, size, 3), np.float32),
            "context_out": ((batch, None, size, size, 1), np.float32),
            "context_mask": ((batch, None), np.bool_),
            "is_segmentation": ((batch,), np.bool_),
            "task": ((batch,), np.int32),
        }

    @cached_property
    def stored(self) -> Stored:
        """The arrays that slices are cut from, the same for all batches: volumes; none for a dataset of slices."""
        return stored_arrays(self.collection) if isinstance(self.collection, VolumeCollection) else {}

    def _images(self, slices: dict) -> dict:
        """The arrays of the images `[B, 1 + N, ...]` of what `gather` returned."""
        if isinstance(self.collection, VolumeCollection):
            return {name: slices[name] for name in SHAPES}
        return {name: slices[name] for name in ("masks", "labels", "flip")} | {
            "images": slices["images"].transpose(1, 2, 0, 3, 4)
        }

    @cached_property
    def _stored_on_host(self) -> dict[str, jax.Array]:
        # The memory of the mapped files itself, without a copy.
        return {name: jax.device_put(array, self._cpu, may_alias=True) for name, array in self.stored.items()}

    @cached_property
    def _make_image(self) -> Callable:
        if isinstance(self.collection, VolumeCollection):
            read = volume_reader(self.config, self.collection)
        else:
            read = slice_reader(self.config)
        return image_function(self.config, self.planner.sources, read)

    @cached_property
    def _cpu(self) -> jax.Device:
        return jax.devices("cpu")[0]

    @cached_property
    def _make_images(self) -> Callable:
        return make_images(self._make_image, self.config.size)

    @cached_property
    def _make_episodes(self) -> Callable:
        return make_episodes(self._make_image)


def _episodes(target_in, target_out, context_in, context_out, slices, is_segmentation):
    plane = {"plane": slices["axis"][:, 0]} if "axis" in slices else {}
    return plane | {
        "target_in": target_in,
        "target_out": target_out,
        "context_in": context_in,
        "context_out": context_out,
        "context_mask": slices["context_mask"],
        "is_segmentation": is_segmentation,
        "task": slices["task"],
    }


def _aligned(shape: tuple[int, ...]) -> np.ndarray:
    """An uninitialised float32 array at a multiple of `_ALIGNMENT` bytes."""
    memory = np.empty(4 * math.prod(shape) + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + 4 * math.prod(shape)].view(np.float32).reshape(shape)
