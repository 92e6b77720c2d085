"""A prediction and a training step on an NVIDIA GPU in bfloat16, beside the same network in plain PyTorch.

From the repository root, on a machine with one GPU that does nothing else, in an environment with the project's
requirements, JAX and PyTorch for CUDA:

    python benchmarks/gpu.py

The published network (64 features, 4 stages) at 192x192. A prediction has 32 context members; a training step has 8
episodes with 16 members: forward, backward and Adam's update. PyTorch is `tests/torch_twin.py` with channels last,
eager and compiled (`torch.compile`): bfloat16 weights for the prediction, autocast from float32 ones for training.

Every implementation has a process of its own. All start from the weights that come along, widened; predictions whose
difference is above a tenth of their own variation (root mean squares), or first losses that differ by more than a
hundredth, end the run. Beside the times stands what the card can do: the rate of a bfloat16 matrix product and the
bandwidth of a copy, measured by JAX. Writes `gpu.json`, with the kernels that take longest, and `gpu.md` to
`benchmarks/results`.
"""

import argparse
import collections
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks"), str(ROOT / "tests")]

from conditions import conditions, heading, table, write_results  # noqa: E402

SIZE, FEATURES = 192, 64
PREDICTED, BATCH, MEMBERS = 32, 8, 16
KINDS = {"jax": "neuralizer_jax", "torch": "PyTorch", "torch_compile": "PyTorch, compiled"}
TOLERANCE = {"prediction": 0.1, "training": 0.01}


def images(batch, members):
    """Target, context inputs and outputs, truth: channels last, context members on the second axis."""
    import numpy as np

    rng = np.random.default_rng(0)
    shapes = [(batch, SIZE, SIZE, 3), (batch, members, SIZE, SIZE, 3), (batch, members, SIZE, SIZE, 1)]
    return [rng.random(shape, np.float32) for shape in (*shapes, (batch, SIZE, SIZE, 1))]


def timed(call, finish, runs):
    """Seconds of each run, after three that are not timed."""
    seconds = []
    for number in range(runs + 3):
        start = time.perf_counter()
        finish(call())
        if number >= 3:
            seconds.append(time.perf_counter() - start)
    return seconds


# neuralizer_jax.


def base_config(weights):
    from neuralizer_jax.experiment_config import load_config

    config = load_config(ROOT / "experiments/base.py")
    config.update_from_flattened_dict(
        {"model.dtype": "bfloat16", "train.batch_size": BATCH, "train.init_from": weights}
    )
    return config


def make_start(weights):
    """Writes the weights; operations of a prediction and of a training step, the backward pass counted as two."""
    import jax

    from neuralizer_jax import save_weights
    from neuralizer_jax.training.state import create_state

    state = create_state(base_config("small"), jax.random.key(0))
    save_weights(weights, state.model, state.params)

    def forward_flops(batch, members):
        forward = jax.jit(lambda params, *arrays: state.model.apply({"params": params}, *arrays))
        return forward.lower(state.params, *images(batch, members)[:3]).cost_analysis()["flops"]

    return {"prediction": forward_flops(1, PREDICTED), "training": 3 * forward_flops(BATCH, MEMBERS)}


def card():
    """The best of ten: operations a second of a bfloat16 matrix product, bytes a second that a copy moves."""
    import jax
    import jax.numpy as jnp

    side = 8192
    a, b = jax.random.normal(jax.random.key(0), (2, side, side), jnp.bfloat16)
    long = jnp.ones(1 << 30, jnp.bfloat16)
    product = jax.jit(lambda a, b: a @ b)
    copy = jax.jit(lambda x, y: x + y)
    one = jnp.bfloat16(1)
    flops = 2 * side**3 / min(timed(lambda: product(a, b), jax.block_until_ready, 10))
    copied = 2 * long.nbytes / min(timed(lambda: copy(long, one), jax.block_until_ready, 10))
    return {"matrix_flops": flops, "copy_bytes": copied, "name": jax.devices()[0].device_kind}


def jax_prediction(weights, runs, folder):
    import jax
    import jax.numpy as jnp
    import numpy as np

    from neuralizer_jax import load_weights, predict

    model, params = load_weights(weights)
    model = model.clone(dtype=jnp.bfloat16)
    arrays = images(1, PREDICTED)[:3]
    forward = jax.jit(lambda params, *arrays: model.apply({"params": params}, *arrays))
    placed = jax.device_put((params, *arrays))
    record = {"seconds": timed(lambda: forward(*placed), jax.block_until_ready, runs)}
    print(f"prediction: {statistics.median(record['seconds']) * 1e3:.2f} ms", file=sys.stderr)
    np.save(folder / "prediction_jax.npy", np.asarray(forward(*placed))[0, ..., 0])
    whole = [array[0] for array in arrays]
    record["predict_seconds"] = timed(
        lambda: predict(model, params, *whole, normalize="none").mean, lambda x: x, max(3, runs // 5)
    )
    record["kernels"] = kernels(lambda: jax.block_until_ready(forward(*placed)), 5)
    return record


def jax_training(weights, runs):
    import jax
    import numpy as np

    from neuralizer_jax.training.parallel import compile_steps
    from neuralizer_jax.training.state import create_state

    config = base_config(weights)
    steps = compile_steps(config.parallel)
    target_in, context_in, context_out, truth = images(BATCH, MEMBERS)
    episode = {"target_in": target_in, "context_in": context_in, "context_out": context_out, "target_out": truth}
    episode |= {"context_mask": np.ones((BATCH, MEMBERS), bool), "is_segmentation": np.zeros(BATCH, bool)}
    episode |= {"task": np.zeros(BATCH, np.int32)}
    state, batch = steps.put_state(create_state(config, jax.random.key(0))), steps.put_batch(episode)
    losses = []

    def step():
        nonlocal state
        state, metrics = steps.train(state, batch)
        return metrics

    def finish(metrics):
        losses.append(float(metrics["loss"]))

    start = time.perf_counter()
    finish(step())
    first = time.perf_counter() - start
    seconds = timed(step, finish, runs)
    print(f"training step: {statistics.median(seconds) * 1e3:.2f} ms", file=sys.stderr)
    record = {"first_seconds": first, "seconds": seconds, "loss": losses[0]}
    return record | {"kernels": kernels(lambda: finish(step()), 3)}


def kernels(call, runs):
    """Milliseconds a run of the kernels that take longest, by the names that the profiler has."""
    import jax

    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder, create_perfetto_trace=True):
            for _ in range(runs):
                call()
        events = json.loads(gzip.decompress(next(Path(folder).rglob("perfetto_trace.json.gz")).read_bytes()))
    events = events["traceEvents"]
    devices = {e["pid"] for e in events if e.get("name") == "process_name" and "/device:GPU" in e["args"]["name"]}
    streams = {
        (e["pid"], e["tid"])
        for e in events
        if e.get("name") == "thread_name" and e["pid"] in devices and "Stream" in e["args"]["name"]
    }
    total = collections.Counter()
    for event in events:
        if event.get("ph") == "X" and (event["pid"], event["tid"]) in streams:
            total[event["name"]] += event["dur"] / 1000 / runs
    return {"all": sum(total.values()), "longest": total.most_common(25)}


def jax_child(weights, runs, folder):
    runs, folder = int(runs), Path(folder)
    import jax

    if jax.default_backend() != "gpu":
        sys.exit(f"JAX runs on {jax.default_backend()}, expected an NVIDIA GPU")
    device = jax.devices()[0]
    record = {"prediction": jax_prediction(weights, runs, folder)}
    record["prediction"]["peak_bytes"] = device.memory_stats()["peak_bytes_in_use"]
    record["training"] = jax_training(weights, runs)
    record["training"]["peak_bytes"] = device.memory_stats()["peak_bytes_in_use"]
    return record | {"card": card()}


# PyTorch.


def torch_child(compiled, weights, runs, folder):
    runs, folder = int(runs), Path(folder)
    import numpy as np
    import torch
    from safetensors.torch import load_file
    from torch_twin import NeuralizerTwin

    torch.backends.cudnn.benchmark = True

    def network(dtype):
        twin = NeuralizerTwin(out_channels=1)
        twin.load_state_dict(load_file(weights))
        twin = twin.to("cuda", dtype, memory_format=torch.channels_last)
        return twin, torch.compile(twin) if compiled else twin

    def tensors(arrays, dtype):
        return [torch.from_numpy(np.moveaxis(x, -1, -3).copy()).to("cuda", dtype) for x in arrays]

    def wait(x):
        torch.cuda.synchronize()

    record = {}
    target_in, context_in, context_out = tensors(images(1, PREDICTED)[:3], torch.bfloat16)
    _, forward = network(torch.bfloat16)
    with torch.no_grad():
        start = time.perf_counter()
        prediction = forward(context_in, context_out, target_in)[0, 0].float().cpu().numpy()
        first = time.perf_counter() - start
        seconds = timed(lambda: forward(context_in, context_out, target_in), wait, runs)
    np.save(folder / f"prediction_torch{'_compile' if compiled else ''}.npy", prediction)
    record["prediction"] = {"seconds": seconds, "first_seconds": first}
    record["prediction"]["peak_bytes"] = torch.cuda.max_memory_allocated()
    del forward

    twin, forward = network(torch.float32)
    optimizer = torch.optim.Adam(twin.parameters(), lr=1e-4, fused=True)
    target_in, context_in, context_out, truth = tensors(images(BATCH, MEMBERS), torch.float32)
    losses = []

    def step():
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            output = forward(context_in, context_out, target_in)
        loss = torch.mean((output.float() - truth) ** 2) / 0.1
        loss.backward()
        optimizer.step()
        return loss

    start = time.perf_counter()
    losses.append(step().item())
    first = time.perf_counter() - start
    seconds = timed(step, lambda loss: losses.append(loss.item()), runs)
    record["training"] = {"first_seconds": first, "seconds": seconds, "loss": losses[0]}
    record["training"]["peak_bytes"] = torch.cuda.max_memory_allocated()
    return record


# In the parent, which has nothing on the card.


def run_child(kind, weights, *arguments):
    environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    environment |= {"JAX_PLATFORMS": "cpu"} if kind == "start" else {}
    command = [sys.executable, __file__, "--child", kind, weights, *arguments]
    done = subprocess.run(list(map(str, command)), env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{kind}: ended with exit code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(options):
    import numpy as np

    records = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = folder / "weights.safetensors"
        work = run_child("start", weights)
        for kind in options.implementations:
            records[kind] = run_child(kind, weights, options.runs, folder)
            for what in ("prediction", "training"):
                median = statistics.median(records[kind][what]["seconds"])
                print(f"{KINDS[kind]:20} {what:10} {median * 1e3:8.2f} ms", flush=True)
            ours, other = (np.load(folder / f"prediction_{each}.npy") for each in ("jax", kind))
            differences = {
                "prediction": float(((ours - other) ** 2).mean() ** 0.5 / ours.std()),
                "training": abs(records[kind]["training"]["loss"] / records["jax"]["training"]["loss"] - 1),
            }
            records[kind]["differences"] = differences
            for what, difference in differences.items():
                if not difference <= TOLERANCE[what]:
                    sys.exit(f"{KINDS[kind]}: {what} differs by {difference:.3f} from {KINDS['jax']}'s")
    return {"work": work, "records": records}


def row(kind, what, records, work):
    seconds, ours = (records[each][what]["seconds"] for each in (kind, "jax"))
    median = statistics.median(seconds)
    rate = work[what] / median
    return (
        f"prediction, N = {PREDICTED}" if what == "prediction" else f"training step, {BATCH} episodes, N = {MEMBERS}",
        KINDS[kind],
        f"{median * 1e3:.2f} ({min(seconds) * 1e3:.2f}-{max(seconds) * 1e3:.2f})",
        f"{rate / 1e12:.0f}",
        f"{rate / records['jax']['card']['matrix_flops']:.0%}",
        f"{records[kind][what]['peak_bytes'] / 2**30:.2f}",
        f"{statistics.median(ours) / median:.2f}",
    )


def longest(found):
    rows = [(f"`{name[:60]}`", f"{milliseconds:.3f}") for name, milliseconds in found["kernels"]["longest"][:12]]
    return table(("kernel", "ms"), rows)


def markdown(results):
    records, work = results["results"]["records"], results["results"]["work"]
    found, prediction, training = (records["jax"][name] for name in ("card", "prediction", "training"))
    rows = [row(kind, what, records, work) for what in ("prediction", "training") for kind in records]
    header = ("", "implementation", "ms", "10^12 operations/s", "of the matrix rate", "peak, GiB", "our time / its")
    predict_seconds = statistics.median(prediction["predict_seconds"])
    return f"""{heading("A GPU", "gpu.py", results)}
{found["name"]}: a bfloat16 matrix product of 8192x8192 runs at {found["matrix_flops"] / 1e12:.0f} * 10^12 operations a
second, a copy moves {found["copy_bytes"] / 1e12:.2f} * 10^12 bytes a second.

{FEATURES} features, {SIZE}x{SIZE}, bfloat16. Medians of {len(prediction["seconds"])} runs, the
smallest and largest in brackets; inputs lie on the card. `neuralizer_jax.predict`, from NumPy arrays to NumPy arrays
with N = {PREDICTED}, takes {predict_seconds * 1e3:.1f} ms.

{table(header, rows)}

Operations are those of neuralizer_jax, a multiplication and an addition counted as two, a backward pass as twice the
forward one.

The kernels of neuralizer_jax that take longest, as JAX's profiler has them; some run at the same time. A prediction,
{prediction["kernels"]["all"]:.2f} ms in all:

{longest(prediction)}

A training step, {training["kernels"]["all"]:.0f} ms in all:

{longest(training)}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50, help="timed predictions and steps (default: 50)")
    parser.add_argument("--implementations", nargs="+", choices=KINDS, default=list(KINDS), help="jax is the first")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.implementations[0] != "jax":
        parser.error("--implementations: expected jax first, which the others are compared with")
    if options.child:
        kind, weights, *others = options.child
        children = {"start": make_start, "jax": jax_child}
        child = children.get(kind) or partial(torch_child, kind == "torch_compile")
        print(json.dumps(child(weights, *others)))
        return None
    command = f"python benchmarks/gpu.py --runs {options.runs} --implementations {' '.join(options.implementations)}"
    packages = ("jax", "jaxlib", "flax", "optax", "numpy") + ("torch",) * ("torch" in options.implementations)
    results = conditions(command, packages)
    results["results"] = measure(options)
    write_results("gpu", results, markdown(results))


if __name__ == "__main__":
    main()
