"""Episodes cut from volumes: how fast they are made, and what a short training learns in each plane.

From the repository root, with datasets that `neuralizer prepare ... --volumes` wrote:

    python benchmarks/volumes.py data/phantom-volumes data/labelmaps-volumes

Throughput is of the default mix of tasks and augmentations, 192x192. The training is short, of a small network on small
images of two tasks: it shows that every plane is learnt, not how well. Each part runs in a process of its own. Writes
`volumes.json` and `volumes.md` to `benchmarks/results`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from conditions import conditions, heading, write_results  # noqa: E402
from episodes import opened  # noqa: E402
from write_tables import table  # noqa: E402

PLANES = ("sagittal", "coronal", "axial")
TRAINING = {
    "data.size": 64,
    "data.only.tasks": "segmentation,denoising",
    "data.classes.min_pixels": 60,
    "data.context.max": 8,
    "train.steps": 300,
    "train.batch_size": 8,
    "validation.every": 100,
    "validation.episodes": 6,
}


def rate(data):
    """Image pairs a second of one core, by the clock and by the time that the core worked for them."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})
    stream, pairs = opened(data), 0
    for step in range(4):
        stream.batch(step)
    start, worked = time.perf_counter(), time.process_time()
    while time.perf_counter() - start < 30:
        step += 1
        mask = stream.batch(step)["context_mask"]
        pairs += mask.shape[0] * (1 + int(mask[0].sum()))
    return {
        "pairs_per_s": pairs / (time.perf_counter() - start),
        "pairs_per_cpu_s": pairs / (time.process_time() - worked),
    }


def first_batch(data):
    """Seconds from the start of Python's imports to the arrays of the first batch."""
    start = time.perf_counter()
    from neuralizer_jax.compilation_cache import use_compilation_cache

    use_compilation_cache()
    opened(data).batch(0)
    return time.perf_counter() - start


def in_device_mode(data):
    """Milliseconds to plan a step of 8 episodes and 16 context members and to look up its volumes; KiB of both."""
    stream = opened(data, **{"apply": "device", "context.min": 16, "context.max": 16})
    stream.slices(0)
    start = time.perf_counter()
    for step in range(1, 51):
        batch = stream.slices(step)
    seconds = (time.perf_counter() - start) / 50
    stored = sum(array.nbytes for array in stream.stored.values())
    return {
        "ms": 1e3 * seconds,
        "kib": sum(array.nbytes for array in batch.values()) / 2**10,
        "stored_mib": stored / 2**20,
    }


def learn(data):
    """Scores of validation by task and plane during a short training."""
    from neuralizer_jax.training.metrics_log import read_metrics

    with tempfile.TemporaryDirectory() as folder:
        changes = [f"--config.{name}={value}" for name, value in TRAINING.items()]
        command = ["train", "--config", "smoke", "--data", data, "--workdir", folder, *changes]
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "neuralizer_jax", *command], check=True, env=_environment())
        metrics = read_metrics(Path(folder) / "metrics.csv")
    named = {tuple(name.split("/")[1:]): curve for name, curve in metrics.items() if name.endswith(PLANES)}
    rows = [
        {"metric": metric, "task": task, "plane": plane, "steps": steps.tolist(), "values": values.tolist()}
        for (metric, task, plane), (steps, values) in named.items()
    ]
    return {"seconds": time.perf_counter() - start, "scores": rows}


PARTS = {"rate": rate, "first_batch": first_batch, "device": in_device_mode, "learn": learn}


def _environment(**changes):
    return {**os.environ, "PYTHONPATH": str(ROOT), **changes}


def measured(part, data, **changes):
    """The result of a part, in a process of its own."""
    command = [sys.executable, __file__, str(data), "--part", part]
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=_environment(**changes)).stdout
    return json.loads(output.splitlines()[-1])


def page(results):
    """The results as Markdown."""
    text = heading("Episodes cut from volumes", "volumes.py", results)
    text += """
Throughput is of the default mix of tasks and augmentations, 192x192, on one core. An image pair is an image with its
output. On a shared machine the time that the core worked for the episodes says more than the clock. The training is
short, of a small network on small images: it shows that every plane is learnt, not how well.

"""
    rows = [
        [
            name,
            f"{its['rate']['pairs_per_cpu_s']:.0f}",
            f"{its['rate']['pairs_per_s']:.0f}",
            f"{its['first_batch']['empty']:.0f}",
            f"{its['first_batch']['filled']:.0f}",
            f"{its['device']['ms']:.1f}",
            f"{its['device']['kib']:.0f}",
            f"{its['device']['stored_mib']:.0f}",
        ]
        for name, its in results["datasets"].items()
    ]
    text += table(
        ["dataset", "pairs a second of a core's work", "by the clock", "first batch, s", "with a filled cache, s",
         "device mode: host's part of a step, ms", "KiB of it", "MiB on the device"],
        rows,
    )  # fmt: skip
    for name, its in results["datasets"].items():
        text += f"\n\n{name}, {TRAINING['train.steps']} steps of {TRAINING['train.batch_size']} episodes,"
        text += f" {TRAINING['data.size']}x{TRAINING['data.size']}, in {its['learn']['seconds'] / 60:.0f} minutes;"
        text += " held-out persons, means over N = 1, 8 and 32:\n\n"
        scores = its["learn"]["scores"]
        steps = scores[0]["steps"]
        rows = [
            [f"{row['task']} ({row['metric']})", row["plane"], *(f"{value:.3f}" for value in row["values"])]
            for row in scores
        ]
        text += table(["task", "plane", *(f"step {step}" for step in steps)], rows)
    return text + "\n"


def main():
    """Measures all parts, or runs one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--part", choices=PARTS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(PARTS[options.part](str(options.datasets[0]))))
        return
    named = " ".join(f"data/{path.name}" for path in options.datasets)
    results = conditions(f"python benchmarks/volumes.py {named}", ["jax", "jaxlib", "numpy"])
    results["datasets"] = {}
    for data in options.datasets:
        with tempfile.TemporaryDirectory() as cache:
            empty, filled = (measured("first_batch", data, JAX_COMPILATION_CACHE_DIR=cache) for _ in range(2))
        results["datasets"][data.name] = {
            "first_batch": {"empty": empty, "filled": filled},
            "rate": measured("rate", data),
            "device": measured("device", data),
            "learn": measured("learn", data),
        }
        # After each dataset: a training may be interrupted.
        write_results("volumes", results, page(results))


if __name__ == "__main__":
    main()
