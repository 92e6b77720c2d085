"""Batches whose images have one of several sizes, for instance crops of a structure and whole slices."""

from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from input_pipeline.episodes.batches import Arrays, EpisodeStream, Spec
from input_pipeline.episodes.plan import Plan
from input_pipeline.episodes.read_volumes import Stored
from input_pipeline.store.table import SliceCollection

# Counter of the random numbers that choose the size of a step's images: after those of rows and whole batches.
_SIZES = 2**32 + 1

# Entry of a batch whose shape `[B, size, 0]` tells a compiled step the size of the images.
_CANVAS = "canvas"


class MixedSizes:
    """The batches of a configuration with `crops`. Each step shows one size, and is a batch of an `EpisodeStream`.

    It has the methods that `EpisodeStream` has for training. A batch is a function of configuration, seed and step.

    Attributes:
        config: `config.default_config`, changed.
        collection: the volumes of its datasets.
        streams: one for each of `config.crops`.

    Example:
        >>> config.crops = ((96, 96, 4, 3.0), (192, 192, 1, 1.0))  # doctest: +SKIP
        >>> stream = MixedSizes(config, collection)  # doctest: +SKIP
        >>> stream.batch(0)["target_in"].shape  # doctest: +SKIP
        (4, 96, 96, 3)
    """

    def __init__(self, config: ConfigDict, collection: SliceCollection, *, process: int = 0, processes: int = 1):
        """Makes the streams. Arguments and errors are those of `EpisodeStream`."""
        self.config = config
        self.collection = collection
        self.streams = [
            EpisodeStream(_of_size(config, crop), collection, process=process, processes=processes)
            for crop in config.crops
        ]
        weights = np.array([weight for *_, weight in config.crops], float)
        self._cumulative = (weights / weights.sum()).cumsum()

    def subjects(self) -> list[tuple[str, str, str]]:
        """Dataset, subject and person of every subject whose images the episodes may show."""
        return self.streams[0].subjects()

    def plan(self, step: int) -> Plan:
        """Plans the batch of a step."""
        return self._of(step).plan(step)

    def gather(self, plan: Plan, step: int) -> Arrays:
        """Fetches the slices of a plan, as `EpisodeStream.gather`."""
        stream = self._of(step)
        slices = stream.gather(plan, step)
        if self.config.apply == "device":
            slices[_CANVAS] = np.zeros((len(plan.task), stream.config.size, 0), np.uint8)
        return slices

    def apply_on_host(self, slices: Arrays) -> Arrays:
        """Makes the episodes of what `gather` returned, as `EpisodeStream.apply_on_host`."""
        return self._of(int(slices["step"])).apply_on_host(slices)

    def apply_on_device(self, slices: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """As `apply_on_host`, on the accelerator; can be called inside of `jax.jit`."""
        size = slices[_CANVAS].shape[1]
        stream = next(stream for stream in self.streams if stream.config.size == size)
        return stream.apply_on_device({name: array for name, array in slices.items() if name != _CANVAS})

    def batch(self, step: int) -> Arrays:
        """What the host makes for a step: the episodes, or where `config.apply` is `device` the slices."""
        slices = self.gather(self.plan(step), step)
        return self.apply_on_host(slices) if self.config.apply == "host" else slices

    @property
    def slices_spec(self) -> Spec:
        """Shapes and dtypes of what `gather` returns; None: lengths that change from step to step."""
        canvas: Spec = {_CANVAS: ((None, None, 0), np.uint8)} if self.config.apply == "device" else {}
        return _common([stream.slices_spec for stream in self.streams]) | canvas

    @property
    def episodes_spec(self) -> Spec:
        """Shapes and dtypes of what `apply_on_host` returns, likewise."""
        return _common([stream.episodes_spec for stream in self.streams])

    @property
    def stored(self) -> Stored:
        """The arrays that slices are cut from, the same for all batches."""
        return self.streams[0].stored

    def _of(self, step: int) -> EpisodeStream:
        """The stream of a step."""
        rng = np.random.Generator(np.random.Philox(key=self.config.seed, counter=[0, 0, _SIZES, step]))
        return self.streams[np.searchsorted(self._cumulative[:-1], rng.random(), side="right")]


def training_stream(
    config: ConfigDict, collection: SliceCollection, *, process: int = 0, processes: int = 1
) -> EpisodeStream | MixedSizes:
    """The batches of a configuration, of one size or of several. Arguments and errors are those of `EpisodeStream`."""
    kind = MixedSizes if config.crops else EpisodeStream
    return kind(config, collection, process=process, processes=processes)


def _of_size(config: ConfigDict, crop: tuple[Any, ...]) -> ConfigDict:
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.size, config.extent, config.batch_size, _ = crop
        config.crops = ()
    return config


def _common(specs: list[Spec]) -> Spec:
    """One specification of all: lengths that differ are None."""
    shapes = {name: zip(*(spec[name][0] for spec in specs), strict=True) for name in specs[0]}
    return {
        name: (tuple(lengths[0] if len(set(lengths)) == 1 else None for lengths in of_name), specs[0][name][1])
        for name, of_name in shapes.items()
    }
