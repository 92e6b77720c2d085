"""Memory and time of one prediction by size of the context set, for each way to take the context through the network.

From the repository root, on a machine that does nothing else, in an environment with the project's requirements and
PyTorch (`pip install torch`; not a requirement of the project):

    python benchmarks/context_memory.py

The published network (64 features) on 64x64 images, float32: all members together, in chunks whose activations are
kept, in chunks that are streamed, and `tests/torch_twin.py`, eager. Each is a process of its own, which predicts twice;
the second time is what the table says. All outputs are the same, or the run ends. `--large` adds one prediction from
1,000 members at 192x192, in the way that `predict` chooses. Writes `context_memory.json` and `context_memory.md` to
`benchmarks/results`.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks"), str(ROOT / "tests")]

from conditions import available_cores, conditions, heading, table, write_results  # noqa: E402
from fresh_process import MIB, current_rss, peak_rss, printed_by  # noqa: E402
from predict_cpu import TOLERANCE  # noqa: E402

SIZE, MEMBERS, CHUNK = 64, (16, 64, 512), 16
LARGE_SIZE, LARGE_MEMBERS = 192, 1000
WAYS = {
    "together": "all together",
    "kept": "chunks, kept",
    "streamed": "chunks, streamed",
    "torch": "PyTorch",
}


def arrays(members, size):
    rng = np.random.default_rng(0)
    shapes = (size, size), (members, size, size), (members, size, size)
    return [rng.random(shape, np.float32) for shape in shapes]


def jax_prediction(folder, inputs, way):
    from neuralizer_jax import load_weights, predict

    model, params = load_weights(folder / "weights.safetensors")
    if way == "together":
        import jax

        network = jax.jit(model.apply)
        target, context_in, context_out = (x[None, ..., None] for x in inputs)
        return lambda: np.asarray(network({"params": params}, target, context_in, context_out))[0, ..., 0]
    chunks = {
        "kept": {"context_chunk": CHUNK, "keep_activations": True},
        "streamed": {"context_chunk": CHUNK},
        "chosen": {},
    }
    return lambda: predict(model, params, *inputs, normalize="none", **chunks[way]).mean


def torch_prediction(folder, inputs):
    import torch
    from safetensors.torch import load_file
    from torch_twin import NeuralizerTwin

    twin = NeuralizerTwin()
    twin.load_state_dict(load_file(folder / "weights.safetensors"))
    target, context_in, context_out = inputs
    # The published network has three channels for each, of which one is used.
    given = [torch.zeros(1, *x.shape[:-2], 3, *x.shape[-2:]) for x in (context_in, context_out, target)]
    for tensor, x in zip(given, (context_in, context_out, target), strict=True):
        tensor[0, ..., 0, :, :] = torch.from_numpy(x)

    def prediction():
        with torch.no_grad():
            return twin(*given)[0, 0].numpy()

    return prediction


def child(way, folder, members, size, calls):
    inputs = arrays(members, size)
    predict = torch_prediction(folder, inputs) if way == "torch" else jax_prediction(folder, inputs, way)
    before = current_rss()
    for _ in range(calls):
        start = time.perf_counter()
        output = predict()
        seconds = time.perf_counter() - start
    np.save(folder / f"{way}.npy", output)
    print(json.dumps({"seconds": seconds, "peak_bytes": peak_rss(), "before_bytes": before}))


def measure(folder, large):
    from golden.golden_weights import case_state_dict
    from safetensors.numpy import save_file

    save_file(case_state_dict("published_n1"), folder / "weights.safetensors")
    records = []
    for members in MEMBERS:
        for way in WAYS:
            record = printed_by(__file__, (way, folder, members, SIZE, 2), available_cores())
            output, reference = np.load(folder / f"{way}.npy"), np.load(folder / "together.npy")
            difference = float(np.abs(output - reference).max() / reference.std())
            if not difference <= TOLERANCE:
                sys.exit(f"N = {members}: {WAYS[way]} differs by {difference:.1e} standard deviations")
            records.append({"members": members, "size": SIZE, "way": way, "difference": difference} | record)
            print(members, way, record, flush=True)
    if large:
        chosen = printed_by(__file__, ("chosen", folder, LARGE_MEMBERS, LARGE_SIZE, 1), available_cores())
        records.append({"members": LARGE_MEMBERS, "size": LARGE_SIZE, "way": "chosen"} | chosen)
    return records


def markdown(results):
    records = results["results"]
    rows = [
        (
            *(r["members"], WAYS[r["way"]], f"{(r['peak_bytes'] - r['before_bytes']) / MIB:.0f}"),
            *(f"{r['peak_bytes'] / MIB:.0f}", f"{r['seconds']:.2f}", f"{r['difference']:.1e}"),
        )
        for r in records
        if r["way"] in WAYS
    ]
    header = ("N", "way", "peak minus before, MiB", "peak RSS, MiB", "seconds", "largest difference / std")
    large = "".join(
        f"\nOne prediction from {r['members']:,} members at {r['size']}x{r['size']}, in the way that `predict` chose: "
        f"peak RSS {r['peak_bytes'] / MIB:.0f} MiB,\n{r['before_bytes'] / MIB:.0f} MiB of it before; "
        f"{r['seconds']:.0f} s, compiling included.\n"
        for r in records
        if r["way"] == "chosen"
    )
    return f"""{heading("Memory by size of the context set", "context_memory.py", results)}
The published network (64 features) at {SIZE}x{SIZE}, float32, chunks of {CHUNK} members, one process each. "Before" is
the memory in use before the first prediction, with weights and images; the peak of neuralizer_jax includes compiling.
Seconds are those of the second prediction.

{table(header, rows)}
{large}"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="also 1,000 members at 192x192, which takes long")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        way, folder, *numbers = options.child
        return child(way, Path(folder), *map(int, numbers))
    command = "python benchmarks/context_memory.py" + " --large" * options.large
    results = conditions(command, ("jax", "jaxlib", "flax", "numpy", "torch"))
    with tempfile.TemporaryDirectory() as folder:
        results["results"] = measure(Path(folder), options.large)
    write_results("context_memory", results, markdown(results))


if __name__ == "__main__":
    main()
