"""`runtime.json`: parameters of models; operations, time and memory of one prediction (paper, supplement)."""

import statistics
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np

from neuralizer_jax.evaluation.records import Record, read_records, training_summary, write_records
from neuralizer_jax.forward import forward
from neuralizer_jax.hardware import device_name
from neuralizer_jax.inference.memory import free_bytes
from neuralizer_jax.weights.parameters import Params

RUNTIME_FILE = "runtime.json"

KEYS: tuple[str, ...] = ("model", "parameters", "flops", "context_size", "seconds", "peak_bytes", "device")
KEYS += ("training_seconds", "training_steps")

# What identifies a record.
_NAME = ("model", "context_size", "device")

# On a CPU, a process takes up to 1.4 times the memory that its program needs.
_CPU_MARGIN = 1.5


def measure(
    name: str,
    model: nn.Module,
    params: Params,
    context_size: int,
    *,
    size: int = 192,
    repeats: int = 5,
    training: tuple[float | None, int | None] = (None, None),
) -> Record:
    """Measures the prediction of one target, of `size` pixels along each axis, on JAX's first device.

    The context size of a `UNet` is 0. The predictions that are timed follow one that is not.

    Returns:
        A record with the keys `KEYS`. `flops`: of the program before XLA optimizes it; a multiplication and an addition
        count as two. `seconds`: the median time from images to prediction in host memory, with the program compiled
        and the parameters on the device. `peak_bytes`: of the program's arrays, including parameters and images; on a
        CPU the process takes up to 40 % more. `seconds` and `peak_bytes` are None if the memory does not suffice.
    """
    device = jax.devices()[0]
    record = dict.fromkeys(KEYS) | {
        "model": name,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "context_size": context_size,
        "device": device_name(device),
        "training_seconds": training[0],
        "training_steps": training[1],
    }
    try:
        episode = _episode(model, context_size, size)
        lowered = jax.jit(partial(forward, model)).lower(params, episode)
        if (flops := (lowered.cost_analysis() or {}).get("flops")) is not None:
            record["flops"] = round(flops)
        record["seconds"], record["peak_bytes"] = _time_and_memory(lowered, params, episode, repeats, device)
    except (MemoryError, RuntimeError) as error:
        # JAX raises RESOURCE_EXHAUSTED when it cannot allocate an array.
        if isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
    return record


def training_time(weights: Path) -> tuple[float | None, int | None]:
    """Seconds and steps of a training, from the `summary.json` beside its weights; None if not known."""
    summary = training_summary(weights)
    try:
        return float(summary["seconds"]), int(summary["step"])
    except (ValueError, KeyError, TypeError):
        return None, None


def record_runtime(folder: Path, records: Iterable[Record]) -> None:
    """Adds records to `runtime.json`; each replaces an earlier one of the same model, context size and device.

    Raises:
        InputError: if the file is damaged or cannot be written.
    """
    named = {str([record[key] for key in _NAME]): record for record in [*read_runtime(folder), *records]}
    write_records(folder / RUNTIME_FILE, named.values())


def read_runtime(folder: Path) -> list[Record]:
    """The records of `runtime.json`, empty if there is no such file. Raises InputError if it is damaged."""
    return read_records(folder / RUNTIME_FILE, *_NAME) or []


def _episode(model: nn.Module, members: int, size: int) -> dict[str, np.ndarray]:
    """A batch of one episode with random intensities."""
    rng = np.random.default_rng(0)
    image = (size,) * model.dim
    episode = {"target_in": rng.random((1, *image, model.in_channels), np.float32)}
    if members:
        episode["context_in"] = rng.random((1, members, *image, model.in_channels), np.float32)
        episode["context_out"] = rng.random((1, members, *image, 1), np.float32)
        episode["context_mask"] = np.ones((1, members), bool)
    return episode


def _time_and_memory(
    lowered: jax.stages.Lowered, params: Params, episode: dict[str, np.ndarray], repeats: int, device: jax.Device
) -> tuple[float, int | None]:
    """Seconds and bytes, see `measure`. Raises MemoryError, or RuntimeError as JAX does, if memory is short."""
    compiled = lowered.compile()
    need = _need(compiled)
    # A GPU refuses to allocate too much; on a CPU the system would kill this process instead.
    if device.platform == "cpu" and need is not None and _CPU_MARGIN * need > free_bytes(device):
        raise MemoryError
    params = jax.device_put(params, device)
    before = _statistics(device)
    seconds = []
    for _ in range(1 + repeats):
        began = time.perf_counter()
        np.asarray(compiled(params, episode))
        seconds.append(time.perf_counter() - began)
    # The device reports the peak of the whole process: it is this prediction's only if it rose.
    peak = _statistics(device).get("peak_bytes_in_use", 0)
    if peak > before.get("peak_bytes_in_use", 0):
        need = peak - before["bytes_in_use"] + sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    return statistics.median(seconds[1:]), need


def _need(compiled: jax.stages.Compiled) -> int | None:
    """Bytes of a program's arguments, results and temporaries; None if XLA does not know."""
    memory = compiled.memory_analysis()
    return memory and memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes


def _statistics(device: jax.Device) -> dict[str, int]:
    return device.memory_stats() or {}
