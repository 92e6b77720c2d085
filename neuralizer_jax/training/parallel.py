"""The training step on one device or many: what is placed where, and the compiled programs.

    jit     one device.
    pmap    every device of every process has a copy of the state and a share of the batch; gradients are averaged.
    mesh    the devices stand in a grid, `data` x `context`: along one axis they share the rows of the batch, as with
            pmap, along the other the context members of these rows; the average over members is XLA's to arrange.

All give the parameters that one device would on the same batch, but for rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

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

# The axis of an array that counts the rows of the batch, where it is not the first.
_BATCH_AXIS = {"images": 1, "step": None}


@dataclass(frozen=True)
class CompiledSteps:
    """The steps of one mode. With several processes, each calls each of them.

    Attributes:
        put_state: places a state as `create_state` or `host_state` gives it, which stays as it is.
        put_batch: places a batch to train on, given the rows of this process: NumPy arrays of episodes, or of what
            `finish` makes episodes of (with `row`, int32 `[B]`: the number of a row in the batch of all processes).
            Raises InputError where the devices cannot have equal shares of the rows.
        train: `train_step` of a placed state and batch; no data come from or go to the host. The state's memory is
            reused: only the new one can be used afterwards.
        evaluate: `eval_step` of a placed state and of a batch of episodes in NumPy, any number of rows, the same batch
            on every process; gives NumPy arrays of all its rows.
        host_state: the state in NumPy, the same in every mode and on any number of devices.
        host_metrics: what `train` measured in NumPy, rows being those of all processes in their order. Waits for it.
    """

    put_state: Callable[[TrainState], TrainState]
    put_batch: Callable[[HostArrays], Arrays]
    train: Callable[[TrainState, Arrays], tuple[TrainState, Arrays]]
    evaluate: Callable[[TrainState, HostArrays], HostArrays]
    host_state: Callable[[TrainState], TrainState]
    host_metrics: Callable[[Arrays], HostArrays]


def compile_steps(config: ConfigDict, finish: Finish | None = None) -> CompiledSteps:
    """The steps of the mode that `config.parallel` asks for, on the devices that JAX has.

    Args:
        config: `config.parallel`.
        finish: makes episodes of the rows of a batch that one device has, on that device; None: they are given.

    Raises:
        InputError: for an unknown mode, or devices that do not fit it.
    """
    mode, context = config.mode, config.context
    finish = finish or (lambda episode: episode)
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
    # The rows of a batch are counted process after process.
    devices = np.array(sorted(jax.devices(), key=lambda device: device.process_index))
    if mode == "pmap":
        return _pmap_steps(devices, *_step_functions(finish, axis_name="data"))
    if mode == "jit":
        return _mesh_steps(Mesh(devices[:1].reshape(1, 1), ("data", "context")), *_step_functions(finish))
    mesh = Mesh(devices.reshape(-1, context), ("data", "context"))
    functions = _step_functions(finish, partial(_share_members, devices=context), axis_name="data")
    return _mesh_steps(mesh, *(_by_rows(function, mesh) for function in functions))


def initialize_processes(coordinator: str, processes: int, process: int) -> None:
    """Makes this process one of several that train together. Call it before anything of JAX's; one needs no call.

    Args:
        coordinator: address of process 0, `HOST:PORT`, the same for all.
        processes: how many there are.
        process: which one this is, from 0.

    Raises:
        InputError: for a number that is not one of them.
    """
    if not 0 <= process < processes:
        raise InputError(f"process {process} of {processes}: expected 0 to {processes - 1}")
    if processes > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(coordinator, num_processes=processes, process_id=process)


def _step_functions(finish: Finish, share: Finish = lambda episode: episode, axis_name: str | None = None) -> tuple:
    """Training and evaluation as a device does them with its rows of a batch; `axis_name` is that of such devices."""

    def all_rows(metrics):
        """The rows of all devices, to each of them."""
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
    """Gives each device along `context` as many members, masked ones added where they are too few."""
    missing = -episode["context_mask"].shape[1] % devices
    shared = {}
    for name in ("context_in", "context_out", "context_mask"):
        members = jnp.pad(episode[name], [(0, 0), (0, missing)] + [(0, 0)] * (episode[name].ndim - 2))
        shared[name] = jax.lax.with_sharding_constraint(members, PartitionSpec(None, "context"))
    return episode | shared


def _by_rows(function: Callable, mesh: Mesh) -> Callable:
    """Each device along `data` does it with its rows; what happens along `context` is left to XLA.

    Were rows left to XLA too, each device would fetch all of them for the gradients: a convolution's batch is members
    times rows, in which a device's rows do not stand together.
    """

    def of_all_rows(state, batch):
        specs = PartitionSpec(), {name: _rows(name) for name in batch}
        mapped = jax.shard_map(
            function, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(), axis_names={"data"}, check_vma=False
        )
        return mapped(state, batch)

    return of_all_rows


def _rows(name: str) -> PartitionSpec:
    """Which axis of an entry of the batch is shared along `data`."""
    axis = _BATCH_AXIS.get(name, 0)
    return PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, "data")


def _mesh_steps(mesh: Mesh, train: Callable, evaluate_placed: Callable) -> CompiledSteps:
    everywhere = NamedSharding(mesh, PartitionSpec())
    train = jax.jit(train, donate_argnums=0, out_shardings=everywhere)
    evaluate_placed = jax.jit(evaluate_placed, out_shardings=everywhere)

    def place_whole(x, spec=everywhere.spec):
        """Places an array of which every process has the whole."""
        x = np.array(x)
        return jax.make_array_from_callback(x.shape, NamedSharding(mesh, spec), lambda index: x[index])

    def put_batch(batch):
        _check_rows(batch, mesh.shape["data"])
        place = jax.make_array_from_process_local_data
        return {name: place(NamedSharding(mesh, _rows(name)), np.asarray(x)) for name, x in batch.items()}

    def place_episodes(episode):
        return {name: place_whole(x, _rows(name)) for name, x in episode.items()}

    host = partial(jax.tree.map, np.array)
    return CompiledSteps(
        put_state=partial(jax.tree.map, place_whole),
        put_batch=put_batch,
        train=train,
        evaluate=_for_any_rows(evaluate_placed, place_episodes, host, mesh.shape["data"]),
        host_state=host,
        host_metrics=host,
    )


def _pmap_steps(devices: np.ndarray, train: Callable, evaluate_placed: Callable) -> CompiledSteps:
    train = jax.pmap(train, "data", devices=list(devices), donate_argnums=0)
    evaluate_placed = jax.pmap(evaluate_placed, "data", devices=list(devices))
    # What a mapped function takes and gives has one entry for each device of this process in front.
    here = [device for device in devices if device.process_index == jax.process_index()]
    one_each = NamedSharding(Mesh(np.array(here), ("data",)), PartitionSpec("data"))

    def place(parts):
        return jax.device_put(parts, one_each)

    def place_rows(batch):
        placed = {}
        for name, x in batch.items():
            axis, x = _BATCH_AXIS.get(name, 0), np.asarray(x)
            if axis is None:
                parts = np.broadcast_to(x, (len(here), *x.shape))
            else:
                share = x.shape[axis] // len(here)
                parts = np.moveaxis(x.reshape(*x.shape[:axis], len(here), share, *x.shape[axis + 1 :]), axis, 0)
            placed[name] = place(parts)
        return placed

    def put_batch(batch):
        _check_rows(batch, len(devices))
        return place_rows(batch)

    def place_episodes(episode):
        share = len(episode["task"]) // jax.process_count()
        first = jax.process_index() * share
        return place_rows({name: x[first : first + share] for name, x in episode.items()})

    host = partial(jax.tree.map, lambda x: np.array(x.addressable_shards[0].data[0]))
    return CompiledSteps(
        put_state=partial(jax.tree.map, lambda x: place(np.stack([x] * len(here)))),
        put_batch=put_batch,
        train=train,
        evaluate=_for_any_rows(evaluate_placed, place_episodes, host, len(devices)),
        host_state=host,
        host_metrics=host,
    )


def _check_rows(batch: HostArrays, shares: int) -> None:
    """Raises InputError unless the rows of all processes are a multiple of the number of shares."""
    rows = len(batch["task"]) * jax.process_count()
    if rows % shares:
        raise InputError(f"batch_size: {rows}, expected a multiple of {shares}, the devices that share the batch")


def _for_any_rows(evaluate_placed: Callable, place: Callable, host: Callable, shares: int) -> Callable:
    """Evaluation of any number of rows: the last one is repeated until there are as many for each share."""

    def evaluate(state, episode):
        rows = len(episode["task"])
        places = np.minimum(np.arange(rows + -rows % shares), rows - 1)
        metrics = host(evaluate_placed(state, place({name: np.asarray(x)[places] for name, x in episode.items()})))
        return {name: x[:rows] for name, x in metrics.items()}

    return evaluate
