"""How fast training episodes are made: every operation, the host's stream, the host's share in device mode, the start.

From the repository root:

    python benchmarks/episodes.py

Makes a phantom dataset of 24 subjects first. The mix of tasks and augmentations is that of the default configuration,
images are 192x192. One image with its output is an image pair. Each part runs in a process of its own. Writes
`episodes.json` and `episodes.md` to `benchmarks/results`.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from conditions import available_cores, conditions, heading, table, write_results  # noqa: E402

SIZE = 192


def configured(data, **changes):
    from input_pipeline.episodes.config import default_config

    config = default_config()
    config.datasets = (str(data),)
    config.update_from_flattened_dict(changes)
    return config


def opened(data, **changes):
    from input_pipeline.episodes.batches import EpisodeStream
    from input_pipeline.store.table import open_collection

    config = configured(data, **changes)
    return EpisodeStream(config, open_collection(config.datasets, config.split))


def operations(data):
    """Seconds to compile each operation, and milliseconds an image on one core, median and least."""
    import jax
    import numpy as np

    from input_pipeline.ops.spatial import sample_transform, sampling_grid, warp_image
    from input_pipeline.ops.task_augmentations import TASK_AUGMENTATIONS
    from input_pipeline.ops.tasks import TASKS

    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})
    config = configured(data)
    rng = np.random.default_rng(0)
    images = rng.random((SIZE, SIZE, 3), np.float32)
    mask = (rng.random((SIZE, SIZE, 1)) > 0.5).astype(np.float32)
    labels = rng.integers(0, 20, (SIZE, SIZE))

    def drawn(operation, settings):
        def run(key, first, second):
            shared = operation.sample(key, settings)
            return operation.apply(
                shared, operation.sample_image(jax.random.fold_in(key, 1), shared, settings), first, second
            )

        return run

    def moved(key, images, mask):
        transforms = sample_transform(key, config.spatial.shared), sample_transform(key, config.spatial.own)
        return warp_image(images[..., 0], sampling_grid(*transforms, SIZE))

    cases = {"normal noise, for comparison": (lambda key, *_: jax.random.normal(key, (SIZE, SIZE)), images, mask)}
    cases["spatial transform of one channel"] = moved, images, mask
    for name, task in TASKS.items():
        cases[f"task {name}"] = drawn(task, config.tasks[name]), images, mask[..., 0]
    for name, augmentation in TASK_AUGMENTATIONS.items():
        second = labels if augmentation.touches == "images" else mask
        cases[f"augmentation {name}"] = drawn(augmentation, config.task_augmentations[name]), images, second
    found = {}
    for name, (function, *arrays) in cases.items():
        start = time.perf_counter()
        compiled = jax.jit(function).lower(jax.random.key(0), *arrays).compile()
        compile_seconds = time.perf_counter() - start
        seconds = []
        for number in range(100):
            key = jax.random.key(number)
            start = time.perf_counter()
            jax.block_until_ready(compiled(key, *arrays))
            seconds.append(time.perf_counter() - start)
        found[name] = {"compile_s": compile_seconds, "ms": 1e3 * median(seconds), "least_ms": 1e3 * min(seconds)}
    return found


def host(data, threads):
    """Image pairs a second of the iterator with so many threads, on as many cores."""
    from input_pipeline.episodes.threads import episode_iterator

    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:threads]))
    batches = episode_iterator(opened(data), threads=threads)
    for _ in range(6):
        next(batches)
    pairs, start = 0, time.perf_counter()
    while time.perf_counter() - start < 30:
        mask = next(batches)["context_mask"]
        pairs += mask.shape[0] * (1 + int(mask[0].sum()))
    seconds = time.perf_counter() - start
    batches.close()
    return {"pairs_per_s": pairs / seconds, "pairs": pairs}


def device(data):
    """Milliseconds a step of plan and gather, N = 16, batch 8, on one core."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})
    stream = opened(data, apply="device", **{"context.min": 16, "context.max": 16})
    plans, gathers = [], []
    for step in range(60):
        start = time.perf_counter()
        plan = stream.plan(step)
        planned = time.perf_counter()
        arrays = stream.gather(plan, step)
        gathers.append(1e3 * (time.perf_counter() - planned))
        plans.append(1e3 * (planned - start))
    size = sum(array.nbytes for array in arrays.values())
    return {"plan_ms": median(plans[10:]), "gather_ms": median(gathers[10:]), "bytes": size}


def first_batch(data):
    """Seconds from the start of the interpreter's work to the first batch."""
    start = time.perf_counter()
    from neuralizer_jax.compilation_cache import use_compilation_cache

    use_compilation_cache()
    opened(data).episodes(0)
    return {"seconds": time.perf_counter() - start}


def memory(data):
    """Resident bytes of a store as large as the paper's, 15,911 images, of which every one was read."""
    import numpy as np

    count = 15_911
    path = data.parent / "images.npy"
    np.lib.format.open_memmap(path, "w+", np.uint16, (count, SIZE, SIZE)).flush()
    before = resident()
    images = np.asarray(np.load(path, mmap_mode="r"))  # as `unpacked_slices.open_unpacked` does
    order = np.random.default_rng(0).permutation(count)
    start = time.perf_counter()
    total = sum(int(images[row].copy().max()) for row in order)
    seconds = time.perf_counter() - start
    result = {
        "images": count,
        "resident_bytes": resident() - before,
        "ms_an_image": 1e3 * seconds / count,
        "sum": total,
    }
    path.unlink()
    return result


def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def part(name, data, *arguments, cache=None):
    """Runs one of the functions above in a process of its own."""
    command = [sys.executable, __file__, "--part", name, "--data", str(data), *map(str, arguments)]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"} | ({"JAX_COMPILATION_CACHE_DIR": str(cache)} if cache else {})
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def measure(folder):
    command = [sys.executable, "-m", "neuralizer_jax", "prepare", "phantom", "--subjects", "24", "--out", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    data = folder / "phantom"
    cores = available_cores()
    results = {"first batch": {kind: part("first_batch", data, cache=folder / "cache") for kind in ("cold", "warm")}}
    results["host"] = {str(threads): part("host", data, "--threads", threads) for threads in sorted({1, 2, cores})}
    results["device"] = part("device", data)
    results["memory"] = part("memory", data)
    results["operations"] = part("operations", data)
    return results


def markdown(results):
    found = results["results"]
    rows = [
        (name, f"{row['ms']:.2f}", f"{row['least_ms']:.2f}", f"{row['compile_s']:.1f}")
        for name, row in found["operations"].items()
    ]
    hosts = [
        (threads, f"{row['pairs_per_s']:.0f}", f"{row['pairs_per_s'] / int(threads):.0f}")
        for threads, row in found["host"].items()
    ]
    first, device, memory = found["first batch"], found["device"], found["memory"]
    return f"""{heading("Training episodes", "episodes.py", results)}
The default mix of tasks and augmentations on a phantom dataset, 192x192, N from 1 to 32, batch 8. An image pair is an
image and its output.

Host mode, the whole stream:

{table(("threads = cores", "image pairs a second", "a core"), hosts)}

- First batch of a process, start of Python's imports to arrays: {first["cold"]["seconds"]:.1f} s with an empty
  compilation cache, {first["warm"]["seconds"]:.1f} s with a filled one. There is one program for all context sizes.
- Device mode, N = 16, one core: {device["plan_ms"]:.1f} ms to plan and {device["gather_ms"]:.1f} ms to gather a step,
  {device["bytes"] / 2**20:.1f} MiB.
- A store of {memory["images"]:,} images, all read at random: {memory["resident_bytes"] / 2**30:.2f} GiB resident (pages
  of the file, which the system takes back when it needs them), {memory["ms_an_image"]:.3f} ms an image.

One operation on one image, one core: median and least of 100 calls, each with its random draws.

{table(("operation", "ms", "least", "compile, s"), rows)}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        more = (options.threads,) if options.threads else ()
        print(json.dumps(globals()[options.part](options.data, *more)))
        return
    results = conditions("python benchmarks/episodes.py", ("jax", "jaxlib", "numpy"))
    with tempfile.TemporaryDirectory() as folder:
        results["results"] = measure(Path(folder))
    write_results("episodes", results, markdown(results))


if __name__ == "__main__":
    main()
