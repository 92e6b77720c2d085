"""One training step on a CPU beside the same network in plain PyTorch, and what the training loop adds to it.

From the repository root, on a machine that does nothing else, in an environment with the project's requirements and
PyTorch (`pip install torch`; not a requirement of the project):

    python benchmarks/train_step.py

64 features, 192x192, float32, one episode with 8 context members. A step is forward and backward; ours has Adam's
update as well. PyTorch is `tests/torch_twin.py`, eager and compiled (`torch.compile`). Every repetition is a process of
its own, in turn. All start from the same weights: where the first step's losses or the norms of its gradients differ by
more than 1e-4, the run ends. Writes `train_step.json` and `train_step.md` to `benchmarks/results`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks"), str(ROOT / "tests")]

from conditions import conditions, heading, table, write_results  # noqa: E402
from fresh_process import current_rss, peak_rss, spread  # noqa: E402

SIZE, MEMBERS, RUNS = 192, 8, 4
KINDS = {
    "jax": "neuralizer_jax",
    "jax_remat": "neuralizer_jax, model.remat",
    "torch": "PyTorch",
    "torch_compile": "PyTorch, compiled",
}
# Of loss and norm of the gradient, relative.
TOLERANCE = 1e-4


def episode():
    import numpy as np

    rng = np.random.default_rng(0)
    return {
        "target_in": rng.random((1, SIZE, SIZE, 3), np.float32),
        "target_out": rng.random((1, SIZE, SIZE, 1), np.float32),
        "context_in": rng.random((1, MEMBERS, SIZE, SIZE, 3), np.float32),
        "context_out": rng.random((1, MEMBERS, SIZE, SIZE, 1), np.float32),
        "context_mask": np.ones((1, MEMBERS), bool),
        "is_segmentation": np.zeros(1, bool),
        "task": np.zeros(1, np.int32),
    }


def base_config(**changes):
    from neuralizer_jax.experiment_config import load_config

    config = load_config(ROOT / "experiments/base.py")
    config.train.batch_size = 1
    config.update_from_flattened_dict(changes)
    return config


def make_weights(path):
    import jax

    from neuralizer_jax import save_weights
    from neuralizer_jax.training.state import create_state

    state = create_state(base_config(), jax.random.key(0))
    save_weights(path, state.model, state.params)


def jax_step(weights, remat):
    import jax

    from neuralizer_jax.training.parallel import compile_steps
    from neuralizer_jax.training.state import create_state

    config = base_config(**{"model.remat": remat, "train.init_from": weights})
    steps = compile_steps(config.parallel)
    state, batch = steps.put_state(create_state(config, jax.random.key(0))), steps.put_batch(episode())

    def step():
        nonlocal state
        state, metrics = steps.train(state, batch)
        metrics = steps.to_host(metrics)
        return float(metrics["loss"]), float(metrics["gradient_norm"])

    return step


def torch_step(weights, compiled):
    import numpy as np
    import torch
    from safetensors.torch import load_file
    from torch_twin import NeuralizerTwin

    twin = NeuralizerTwin(out_channels=1)
    twin.load_state_dict(load_file(weights))
    network = torch.compile(twin) if compiled else twin
    arrays = episode()
    tensors = [
        torch.from_numpy(np.moveaxis(arrays[k], -1, -3).copy()) for k in ("target_in", "context_in", "context_out")
    ]
    truth = torch.from_numpy(np.moveaxis(arrays["target_out"], -1, -3).copy())

    def step():
        twin.zero_grad()
        loss = torch.mean((network(*tensors[1:], tensors[0]) - truth) ** 2) / 0.1
        loss.backward()
        # The last block's context is never read: its parameters have none.
        gradients = [parameter.grad for parameter in twin.parameters() if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        return float(loss.detach()), float(norm)

    return step


def child(kind, weights):
    family, _, variant = kind.partition("_")
    step = (torch_step if family == "torch" else jax_step)(weights, bool(variant))
    before = current_rss()
    start = time.perf_counter()
    loss, norm = step()
    first = time.perf_counter() - start
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    print(
        json.dumps(
            {
                "first_seconds": first,
                "seconds": seconds,
                "loss": loss,
                "gradient_norm": norm,
                "peak_bytes": peak_rss(),
                "before_bytes": before,
            }
        )
    )


def loop_child(folder):
    """Seconds a step of the loop, the same batch each time, and of the bare compiled step."""
    import jax

    from neuralizer_jax.training.loop import Episodes, train
    from neuralizer_jax.training.metrics_log import read_metrics
    from neuralizer_jax.training.parallel import compile_steps
    from neuralizer_jax.training.state import create_state

    count = 40
    settings = {"train.steps": count, "log.every": 10, "checkpoint.every": count, "validation.every": count}
    config = base_config(**settings)
    small = {name: x[:, :2] if name.startswith("context") else x for name, x in episode().items()}

    def batches(step):
        while True:
            yield small

    steps = compile_steps(config.parallel)
    state, placed = steps.put_state(create_state(config, jax.random.key(0))), steps.put_batch(small)
    bare = []
    for number in range(12):
        start = time.perf_counter()
        state, metrics = steps.train(state, placed)
        jax.block_until_ready((state.params, metrics))
        if number >= 2:
            bare.append(time.perf_counter() - start)
    train(config, folder, Episodes(["copy"], batches, lambda: iter([small])))
    speeds = read_metrics(folder / "metrics.csv")["train/images_per_second"][1][1:]  # the first ten compile
    waits = read_metrics(folder / "metrics.csv")["train/data_wait"][1][1:]
    for _ in range(10):
        start = time.perf_counter()
        state, metrics = steps.train(state, placed)
        jax.block_until_ready((state.params, metrics))
        bare.append(time.perf_counter() - start)
    print(json.dumps({"bare": bare, "loop": [3 / speed for speed in speeds], "data_wait": waits.tolist()}))


def run_child(*arguments):
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, __file__, "--child", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(folder, repeats):
    weights, records = folder / "weights.safetensors", []
    make_weights(weights)
    for repeat in range(repeats):
        for kind in KINDS:
            record = {"kind": kind, "repeat": repeat} | run_child(kind, str(weights))
            records.append(record)
            seconds = [f"{value:.2f}" for value in record["seconds"]]
            print(kind, seconds, f"{record['peak_bytes'] / 2**20:.0f} MiB", flush=True)
            for what in ("loss", "gradient_norm"):
                if not abs(record[what] / records[0][what] - 1) <= TOLERANCE:
                    sys.exit(f"{KINDS[kind]}: {what} {record[what]}, {records[0][what]} of {KINDS['jax']}")
    return {"steps": records, "loop": run_child("loop", str(folder / "run"))}


def markdown(results):
    found, rows = results["results"], []
    repeats = 1 + max(record["repeat"] for record in found["steps"])
    of_kind = {kind: [r for r in found["steps"] if r["kind"] == kind] for kind in KINDS}
    torch_seconds = spread(value for r in of_kind["torch"] for value in r["seconds"])["median"]
    torch_peak = spread(r["peak_bytes"] for r in of_kind["torch"])["median"]
    for kind, label in KINDS.items():
        seconds = spread(value for r in of_kind[kind] for value in r["seconds"])
        peak = spread(r["peak_bytes"] for r in of_kind[kind])["median"]
        first = spread(r["first_seconds"] for r in of_kind[kind])["median"]
        shown = "{median:.2f} ({min:.2f}-{max:.2f})".format(**seconds)
        rows.append(
            (
                label,
                shown,
                f"{first:.1f}",
                f"{peak / 2**20:.0f}",
                f"{seconds['median'] / torch_seconds:.2f}",
                f"{peak / torch_peak:.2f}",
            )
        )
    bare, loop = (statistics.median(found["loop"][name]) for name in ("bare", "loop"))
    header = ("", "seconds a step", "first step, s", "peak RSS, MiB", "time / PyTorch's", "peak / PyTorch's")
    return f"""{heading("A training step on a CPU", "train_step.py", results)}
64 features, {SIZE}x{SIZE}, float32, one episode with {MEMBERS} context members: forward and backward; neuralizer_jax
also updates with Adam. Medians of {repeats} process(es) of {RUNS} steps, with the smallest and largest in brackets. The
peak is that of the whole process; the first steps of neuralizer_jax and of compiled PyTorch compile.

{table(header, rows)}

The training loop, with 2 context members and data that cost nothing: {loop:.3f} s a step where the bare compiled step
takes {bare:.3f} s ({100 * (loop / bare - 1):+.1f} %). It waits for data
{100 * statistics.median(found["loop"]["data_wait"]):.2f} % of the time.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="processes of each implementation (default: 3)")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        kind, path = options.child
        return loop_child(Path(path)) if kind == "loop" else child(kind, path)
    command = f"python benchmarks/train_step.py --repeats {options.repeats}"
    results = conditions(command, ("jax", "jaxlib", "flax", "optax", "numpy", "torch"))
    with tempfile.TemporaryDirectory() as folder:
        results["results"] = measure(Path(folder), options.repeats)
    write_results("train_step", results, markdown(results))


if __name__ == "__main__":
    main()
