"""Start-up: how long `neuralizer predict` takes in a new process, with nothing compiled and with a warm cache.

From the repository root, on a machine that does nothing else:

    python benchmarks/start_up.py

The weights that come along, one target and eight pairs of 192x192. Runs the command five times with the programs of the
run before in the cache, after one with an empty cache; besides, the parts of it in a process of their own. Writes
`start_up.json` and `start_up.md` to `benchmarks/results`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from conditions import conditions, heading, table, write_results  # noqa: E402
from fresh_process import spread  # noqa: E402

SIZE, MEMBERS, REPEATS = 192, 8, 5
PARTS = {
    "import_jax": "importing JAX",
    "import": "importing neuralizer_jax besides",
    "weights": "reading the weights",
    "first": "first prediction: tracing, reading programs, computing",
    "second": "the same prediction again",
}
COMMAND = ("predict", "--target", "target.npy", "--context", "pairs", "--out", "out.npy")


def child():
    """Seconds of each part, in a process that has imported nothing but NumPy."""
    seconds, start = {}, time.perf_counter()

    def lap(name):
        nonlocal start
        seconds[name] = time.perf_counter() - start
        start = time.perf_counter()

    import jax  # noqa: F401

    lap("import_jax")
    from neuralizer_jax import load_weights, predict
    from neuralizer_jax.compilation_cache import use_compilation_cache

    use_compilation_cache()
    lap("import")
    model, params = load_weights("small")
    lap("weights")
    inputs = [np.load("target.npy")]
    inputs += [np.stack([np.load(f"pairs/{side}{i}.npy") for i in range(MEMBERS)]) for side in ("in", "out")]
    start = time.perf_counter()
    for name in ("first", "second"):
        predict(model, params, *inputs)
        lap(name)
    print(json.dumps(seconds))


def measure(folder):
    rng = np.random.default_rng(0)
    (folder / "pairs").mkdir()
    for name in ["target", *(f"pairs/{side}{i}" for side in ("in", "out") for i in range(MEMBERS))]:
        np.save(folder / f"{name}.npy", rng.random((SIZE, SIZE), np.float32))
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(folder / "programs")}

    def run(*arguments):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *arguments], cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return time.perf_counter() - start, done.stdout

    command = ("-m", "neuralizer_jax", *COMMAND)
    cold, _ = run(*command)
    if not (folder / "out.npy").is_file():
        sys.exit("the command wrote no prediction")
    warm, parts = [], []
    for _ in range(REPEATS):
        warm.append(run(*command)[0])
        parts.append(json.loads(run(__file__, "--child")[1]))
    return {
        "cold": cold,
        "warm": spread(warm),
        "parts": {name: spread(record[name] for record in parts) for name in PARTS},
    }


def markdown(results):
    found = results["results"]

    def shown(value):
        return "{median:.2f} ({min:.2f}-{max:.2f})".format(**value)

    rows = [("`neuralizer predict`, warm cache", shown(found["warm"]))]
    rows += [("`neuralizer predict`, empty cache", f"{found['cold']:.2f}")]
    parts = [(label, shown(found["parts"][name])) for name, label in PARTS.items()]
    return f"""{heading("Start-up", "start_up.py", results)}
`neuralizer predict` with the weights that come along: one target, {MEMBERS} pairs, {SIZE}x{SIZE}. Whole processes;
medians of {REPEATS} with the smallest and largest in brackets.

{table(("process", "seconds"), rows)}

Parts of it, in Python, with a warm cache:

{table(("part", "seconds"), parts)}
"""


def main():
    if sys.argv[1:] == ["--child"]:
        return child()
    results = conditions("python benchmarks/start_up.py", ("jax", "jaxlib", "flax", "numpy"))
    with tempfile.TemporaryDirectory() as folder:
        results["results"] = measure(Path(folder))
    write_results("start_up", results, markdown(results))


if __name__ == "__main__":
    main()
