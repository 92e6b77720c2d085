"""The training step on one device or many: data placement and compiled programs.

    jit     one device.
    pmap    every device has a copy of the state and a share of the batch; gradients are averaged.
    mesh    the devices form a grid, `data` x `context`: along `data` they share the rows of the batch, as with pmap,
            along `context` the context pairs of these rows; XLA arranges the average over pairs.

For the same batch, all modes give the parameters that one device would, up to rounding.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from neuralizer_jax.errors import InputError
from neuralizer_jax.training.state import TrainState
from neuralizer_jax.training.step import Arrays, eval_step, train_step

MODES = ("jit", "pmap", "mesh")

HostArrays = dict[str, np.ndarray]
Finish = Callable[[Arrays], Arrays]

# Prefix of the arrays that batches share: placed on the devices once.
STORED = "stored."


def _batch_axis(name: str) -> int | None:
    """The axis of an entry of the batch that counts the rows; None: the entry is the same for all rows."""
    return None if name == "step" or name.startswith(STORED) else int(name == "images")


@dataclass(frozen=True)
class CompiledSteps:
    """The compiled functions of one mode. With several processes, each process calls each of them.

    Attributes:
        put_state: places a state of `create_state` or `to_host` on the devices; its argument stays valid.
        put_batch: places a training batch, given the rows of this process: NumPy arrays of episodes, or of what
            `finish` turns into episodes (with `row`, int32 `[B]`: the row's number in the batch of all processes).
            Raises InputError if the devices cannot have equal shares of the rows.
        train: `train_step` of a placed state and batch, without transfers to or from the host. It reuses the memory of
            the state, which cannot be used afterwards.
        evaluate: `eval_step` of a placed state and a NumPy batch of episodes, of any size, the same on every process;
            returns NumPy arrays of all rows.
        to_host: a state or the metrics of `train` in NumPy, the same in every mode and on any number of devices; the
            rows of all processes in order. Waits for them.
    """

    put_state: Callable[[TrainState], TrainState]
    put_batch: Callable[[HostArrays], Arrays]
    train: Callable[[TrainState, Arrays], tuple[TrainState, Arrays]]
    evaluate: Callable[[TrainState, HostArrays], HostArrays]
    to_host: Callable[[Any], Any]


def compile_steps(
    config: ConfigDict, finish: Finish | None = None, stored: Mapping[str, np.ndarray] | None = None
) -> CompiledSteps:
    """The compiled functions of the mode `config.mode`, on the devices that JAX has.

    Args:
        config: `config.parallel`.
        finish: turns a device's rows of a batch into episodes, on that device; None: batches are episodes.
        stored: arrays that `finish` needs beside each batch; every device gets them once, whole.

    Raises:
        InputError: an unknown mode, or devices that do not fit it.

    Example:
        >>> steps = compile_steps(ConfigDict({"mode": "jit", "context": 1}))
        >>> steps.put_batch({"task": np.zeros(4, np.int32)})["task"].shape
        (4,)
    """
    mode, context = config.mode, config.context
    finish = _with_stored(finish) if finish else (lambda episode: episode)
    stored = {f"{STORED}{name}": array for name, array in (stored or {}).items()}
    if mode not in MODES:
        raise InputError(f"parallel.mode: {mode!r}, expected {', '.join(MODES)}")
    if mode == "jit" and jax.process_count() > 1:
        raise InputError(f"parallel.mode: jit with {jax.process_count()} processes, expected pmap or mesh")
    if mode != "mesh" and context != 1:
        raise InputError(f"parallel.context: {context} with mode {mode}, expected 1, or mode mesh")
    if context < 1 or jax.local_device_count() % context:
        raise InputError(
            f"parallel.context: {context}, expected a divisor of the {jax.local_device_count()} devices of a process"
        )
    # Rows of a batch are numbered process by process.
    devices = np.array(sorted(jax.devices(), key=lambda device: device.process_index))
    if mode == "pmap":
        return _pmap_steps(devices, stored, *_step_functions(finish, axis_name="data"))
    if mode == "jit":
        return _mesh_steps(Mesh(devices[:1].reshape(1, 1), ("data", "context")), stored, *_step_functions(finish))
    mesh = Mesh(devices.reshape(-1, context), ("data", "context"))
    functions = _step_functions(finish, partial(_share_members, devices=context), axis_name="data")
    return _mesh_steps(mesh, stored, *(_by_rows(function, mesh) for function in functions))


def initialize_processes(coordinator: str, processes: int, process: int) -> None:
    """Makes this process one of several that train together. Call it before any other function of JAX.

    Args:
        coordinator: address of process 0, `HOST:PORT`, the same in all processes.
        processes: how many there are; with 1 nothing is done.
        process: number of this one, from 0.

    Raises:
        InputError: `process` out of range.
    """
    if not 0 <= process < processes:
        raise InputError(f"process {process} of {processes}: expected 0 to {processes - 1}")
    if processes > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(coordinator, num_processes=processes, process_id=process)


def _with_stored(finish: Finish) -> Finish:
    """`finish` of a batch whose stored arrays have their prefix."""
    return lambda batch: finish({name.removeprefix(STORED): array for name, array in batch.items()})


def _step_functions(finish: Finish, share: Finish = lambda episode: episode, axis_name: str | None = None) -> tuple:
    """`train` and `evaluate` of one device with its rows of a batch; `axis_name` is the axis of these devices."""

    def all_rows(metrics):
        """Gathers the rows of all devices on each of them."""
        if axis_name is None:
            return metrics
        return {name: jax.lax.all_gather(x, axis_name, tiled=True) if x.ndim else x for name, x in metrics.items()}

    def train(state, batch):
        state, metrics = train_step(state, share(finish(batch)), axis_name)
        return state, all_rows(metrics)

    def evaluate(state, episode):
        return all_rows(eval_step(state, share(episode)))

    return train, evaluate


def _share_members(episode: Arrays, devices: int) -> Arrays:
    """Gives the devices along `context` equal numbers of context pairs; masked ones are added if needed."""
    missing = -episode["context_mask"].shape[1] % devices
    shared = {}
    for name in ("context_in", "context_out", "context_mask"):
        members = jnp.pad(episode[name], [(0, 0), (0, missing)] + [(0, 0)] * (episode[name].ndim - 2))
        shared[name] = jax.lax.with_sharding_constraint(members, PartitionSpec(None, "context"))
    return episode | shared


def _by_rows(function: Callable, mesh: Mesh) -> Callable:
    """Applies `function` to each device's rows along `data`; `context` is left to XLA.

    If XLA arranged the rows too, each device would fetch all of them for the gradients: a convolution's batch is pairs
    times rows, in which the rows of a device are not adjacent.
    """

    def of_all_rows(state, batch):
        specs = PartitionSpec(), {name: _rows(name) for name in batch}
        mapped = jax.shard_map(
            function, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(), axis_names={"data"}, check_vma=False
        )
        return mapped(state, batch)

    return of_all_rows


def _rows(name: str) -> PartitionSpec:
    """The axis of an entry of the batch that is split along `data`."""
    axis = _batch_axis(name)
    return PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, "data")


def _mesh_steps(
    mesh: Mesh, stored: Mapping[str, np.ndarray], train: Callable, evaluate_placed: Callable
) -> CompiledSteps:
    everywhere = NamedSharding(mesh, PartitionSpec())
    train = jax.jit(train, donate_argnums=0, out_shardings=everywhere)
    evaluate_placed = jax.jit(evaluate_placed, out_shardings=everywhere)

    def place_whole(x, spec=everywhere.spec):
        """Places an array that every process has completely."""
        x = np.array(x)
        return jax.make_array_from_callback(x.shape, NamedSharding(mesh, spec), lambda index: x[index])

    def place_rows(batch):
        place = jax.make_array_from_process_local_data
        return {name: place(NamedSharding(mesh, _rows(name)), np.asarray(x)) for name, x in batch.items()}

    def place_episodes(episode):
        return {name: place_whole(x, _rows(name)) for name, x in episode.items()}

    put_state, to_host = partial(jax.tree.map, place_whole), partial(jax.tree.map, np.array)
    stored_there = {name: place_whole(array) for name, array in stored.items()}

    def place_batch(batch):
        return place_rows(batch) | stored_there

    return _compiled(mesh.shape["data"], put_state, place_batch, train, place_episodes, evaluate_placed, to_host)


def _pmap_steps(
    devices: np.ndarray, stored: Mapping[str, np.ndarray], train: Callable, evaluate_placed: Callable
) -> CompiledSteps:
    train = jax.pmap(train, "data", devices=list(devices), donate_argnums=0)
    evaluate_placed = jax.pmap(evaluate_placed, "data", devices=list(devices))
    # Arguments and results of a mapped function have a leading axis: the devices of this process.
    here = [device for device in devices if device.process_index == jax.process_index()]
    one_each = NamedSharding(Mesh(np.array(here), ("data",)), PartitionSpec("data"))

    def place(parts):
        return jax.device_put(parts, one_each)

    def place_rows(batch):
        placed = {}
        for name, x in batch.items():
            axis, x = _batch_axis(name), np.asarray(x)
            if axis is None:
                parts = np.broadcast_to(x, (len(here), *x.shape))
            else:
                share = x.shape[axis] // len(here)
                parts = np.moveaxis(x.reshape(*x.shape[:axis], len(here), share, *x.shape[axis + 1 :]), axis, 0)
            placed[name] = place(parts)
        return placed

    def place_episodes(episode):
        share = len(episode["task"]) // jax.process_count()
        first = jax.process_index() * share
        return place_rows({name: x[first : first + share] for name, x in episode.items()})

    put_state = partial(jax.tree.map, lambda x: place(np.stack([x] * len(here))))
    to_host = partial(jax.tree.map, lambda x: np.array(x.addressable_shards[0].data[0]))
    stored_there = place_rows(stored)

    def place_batch(batch):
        return place_rows(batch) | stored_there

    return _compiled(len(devices), put_state, place_batch, train, place_episodes, evaluate_placed, to_host)


def _compiled(
    shares: int,
    put_state: Callable,
    place_rows: Callable,
    train: Callable,
    place_episodes: Callable,
    evaluate_placed: Callable,
    to_host: Callable,
) -> CompiledSteps:
    """Adds what the modes share; `shares` devices have equal shares of the rows of all processes."""

    def put_batch(batch):
        rows = len(batch["task"]) * jax.process_count()
        if rows % shares:
            raise InputError(f"batch_size: {rows}, expected a multiple of {shares}, the devices that share the batch")
        return place_rows(batch)

    def evaluate(state, episode):
        # The last row is repeated until the devices have equal shares.
        rows = len(episode["task"])
        padded = np.minimum(np.arange(rows + -rows % shares), rows - 1)
        placed = place_episodes({name: np.asarray(x)[padded] for name, x in episode.items()})
        return {name: x[:rows] for name, x in to_host(evaluate_placed(state, placed)).items()}

    return CompiledSteps(put_state, put_batch, train, evaluate, to_host)
