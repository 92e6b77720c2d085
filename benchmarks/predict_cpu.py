"""Time and peak memory of one prediction on a CPU: `neuralizer_jax.predict` beside the same network in plain PyTorch.

From the repository root, on a machine that does nothing else, in an environment with the project's requirements and
PyTorch (`pip install torch`; not a requirement of the project):

    python benchmarks/predict_cpu.py

The published network (64 features, 4 stages, 3 channels in and out) at 192x192 in float32, on 1, 8 and 32 context
members. PyTorch is `tests/torch_twin.py`: eager in its default memory format and with its weights in channels-last, and
compiled (`torch.compile`). Beside the times stands what the machine can do at best: the rate of its matrix products and
the bandwidth of its copies, measured by NumPy on as many cores, before and after.

Every repetition is a fresh process, the implementations in turn on the same number of threads. In it one prediction is
the first call (with what JAX compiles), then `--runs` predictions are timed. Weights, inputs and outputs are the same:
outputs that differ by more than 1e-4 of their standard deviation end the run. Writes `predict_cpu.json`, with every
single number, and `predict_cpu.md` to `benchmarks/results`.
"""

import argparse
import json
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks"), str(ROOT / "tests")]

from conditions import available_cores, conditions, heading, table  # noqa: E402
from fresh_process import MIB, current_rss, machine_cpu_seconds, peak_rss, printed_by, spread  # noqa: E402
from write_tables import update  # noqa: E402

SIZE = (192, 192)
TOLERANCE = 1e-4  # of the output's standard deviation
DISTURBED = 0.1  # share of the cores that others may take: PyTorch, which waits for all its threads, loses most by it
LABELS = {
    "jax": "neuralizer_jax",
    "torch": "PyTorch",
    "torch_channels_last": "PyTorch, channels-last",
    "torch_compile": "PyTorch, compiled",
}


# In the child: one implementation, one N.


def jax_prediction(folder, inputs):
    """A function that predicts, and one that tells how often the network really ran."""
    import jax

    from neuralizer_jax import load_weights, predict

    if jax.default_backend() != "cpu":
        sys.exit(f"JAX runs on {jax.default_backend()}, expected the CPU")
    model, params = load_weights(folder / "weights.safetensors")
    draws = []
    options = {"normalize": "none", "on_draw": lambda: draws.append(1)}
    return lambda: predict(model, params, *inputs, **options).mean, lambda: len(draws)


def torch_prediction(folder, inputs, threads, implementation):
    """As `jax_prediction`. The inputs become tensors here, before anything is timed."""
    import torch
    from safetensors.torch import load_file
    from torch_twin import NeuralizerTwin

    torch.set_num_threads(threads)
    twin = NeuralizerTwin()
    twin.load_state_dict(load_file(folder / "weights.safetensors"))
    if implementation == "torch_channels_last":
        twin = twin.to(memory_format=torch.channels_last)
    target, context_in, context_out = (torch.from_numpy(np.moveaxis(x, -1, -3).copy())[None] for x in inputs)
    context_out = torch.nn.functional.pad(context_out, (0, 0, 0, 0, 0, 2))  # the published network has 3, 2 unused
    forwards = []
    network = torch.compile(twin) if implementation == "torch_compile" else twin

    def prediction():
        with torch.no_grad():
            output = network(context_in, context_out, target)[0, 0].numpy()
        forwards.append(1)
        return output

    return prediction, lambda: len(forwards)


def child(implementation, folder, members, threads, runs):
    with np.load(folder / f"inputs_{members}.npz") as stored:
        inputs = [stored[name] for name in ("target", "context_in", "context_out")]
    if implementation == "jax":
        prediction, count = jax_prediction(folder, inputs)
    else:
        prediction, count = torch_prediction(folder, inputs, threads, implementation)

    def timed():
        start, cpu_start = time.perf_counter(), time.process_time()
        output = prediction()
        return output, time.perf_counter() - start, time.process_time() - cpu_start

    rss_before = current_rss()
    output, first_seconds, _ = timed()
    seconds, cpu_seconds, machine_before = [], [], machine_cpu_seconds()
    for _ in range(runs):
        output, wall, cpu = timed()
        seconds.append(wall)
        cpu_seconds.append(cpu)
    machine = machine_cpu_seconds() - machine_before
    record = {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "other_cores": max(0.0, machine - sum(cpu_seconds)) / sum(seconds),
        "first_seconds": first_seconds,
        "peak_rss_bytes": peak_rss(),
        "rss_before_bytes": rss_before,
        "predictions": count(),
        "output": f"output_{implementation}.npy",
    }
    np.save(folder / record["output"], output)
    print(json.dumps(record))


def machine_child():
    """The best of several: operations a second of a float32 matrix product, bytes a second that a copy moves."""
    side, length, rng = 4096, 1 << 26, np.random.default_rng(0)
    a, b = (rng.random((side, side), np.float32) for _ in range(2))
    source, copy = np.ones(length, np.float32), np.zeros(length, np.float32)
    c = a @ b
    rates = {"matrix_flops": 0.0, "copy_bytes": 0.0}
    for _ in range(5):
        start = time.perf_counter()
        np.matmul(a, b, out=c)
        rates["matrix_flops"] = max(rates["matrix_flops"], 2 * side**3 / (time.perf_counter() - start))
        start = time.perf_counter()
        np.copyto(copy, source)
        rates["copy_bytes"] = max(rates["copy_bytes"], 2 * source.nbytes / (time.perf_counter() - start))
    print(json.dumps(rates))


def work_child(members):
    """Operations of one prediction, and the bytes its arrays would move if nothing stayed in a cache, as XLA counts."""
    import jax

    from neuralizer_jax import Neuralizer

    model = Neuralizer(out_channels=3)
    images = [(1, *SIZE, 3), (1, members, *SIZE, 3), (1, members, *SIZE, 1)]
    images = [jax.ShapeDtypeStruct(shape, np.float32) for shape in images]
    params = jax.eval_shape(model.init, jax.random.key(0), *images)
    lowered = jax.jit(model.apply).lower(params, *images)
    bytes_ = lowered.compile().cost_analysis()["bytes accessed"]
    print(json.dumps({"flops": lowered.cost_analysis()["flops"], "bytes": bytes_}))


# In the parent, which imports neither JAX nor PyTorch.


def write_inputs(folder, all_members):
    from golden.golden_weights import case_state_dict, golden_inputs
    from safetensors.numpy import save_file

    save_file(case_state_dict("published_n1"), folder / "weights.safetensors")
    for members in all_members:
        target, context_in, context_out = golden_inputs(members, 1, members, SIZE, in_channels=3, out_channels=1)
        np.savez(
            folder / f"inputs_{members}.npz", target=target[0], context_in=context_in[0], context_out=context_out[0]
        )


def run_child(implementation, folder, members, threads, runs):
    """One fresh process. Its record, with its output in place of the file's name."""
    record = printed_by(__file__, (implementation, folder, members, threads, runs), threads)
    if record["predictions"] != 1 + runs or len(record["seconds"]) != runs:
        sys.exit(f"{LABELS[implementation]} ran {record['predictions']} predictions, expected {1 + runs}")
    if peak_rss() >= record["rss_before_bytes"]:  # Linux counts the parent's peak as its child's
        sys.exit("this process has grown larger than its child, whose peak memory cannot be told from it")
    return record | {"output": np.load(folder / record["output"])}


def measure(options):
    """All records, `[{members, implementation, repetition, ...}]`; the outputs compared and dropped."""
    records = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, options.members)
        for members in options.members:
            for repetition in range(options.repeats):
                outputs = {}
                for implementation in options.implementations:
                    record = run_child(implementation, folder, members, options.threads, options.runs)
                    outputs[implementation] = record.pop("output")
                    reference = outputs["jax"]
                    difference = float(np.abs(outputs[implementation] - reference).max() / reference.std())
                    if not difference <= TOLERANCE:
                        sys.exit(
                            f"N = {members}: {LABELS[implementation]} differs by {difference:.1e} standard deviations"
                        )
                    where = {"members": members, "implementation": implementation, "repetition": repetition}
                    records.append(where | record | {"difference": difference})
                    seconds = ", ".join(f"{value:.3f}" for value in record["seconds"])
                    peak = record["peak_rss_bytes"] / MIB
                    print(f"N = {members:2}  {LABELS[implementation]:22}  {seconds} s, peak {peak:.0f} MiB", flush=True)
    return records


def summarize(records, options, work, machine):
    """For each N and implementation: spreads over the processes, and JAX's medians divided by this one's."""
    summary = []
    for members in options.members:
        for implementation in options.implementations:
            own = [r for r in records if (r["members"], r["implementation"]) == (members, implementation)]
            row = {
                "members": members,
                "implementation": implementation,
                "seconds": spread(value for r in own for value in r["seconds"]),
                "first_seconds": spread(r["first_seconds"] for r in own),
                "busy_cores": spread(sum(r["cpu_seconds"]) / sum(r["seconds"]) for r in own),
                "other_cores": spread(r["other_cores"] for r in own),
                "peak_rss_bytes": spread(r["peak_rss_bytes"] for r in own),
                "peak_minus_before_bytes": spread(r["peak_rss_bytes"] - r["rss_before_bytes"] for r in own),
                "max_difference": max(r["difference"] for r in own),
            }
            jax_row = row if implementation == "jax" else next(r for r in summary[::-1] if r["implementation"] == "jax")
            measured = ("seconds", "peak_rss_bytes", "peak_minus_before_bytes")
            row["least_seconds"] = {
                "matrix_rate": work[members]["flops"] / machine["matrix_flops"],
                "copy_bandwidth": work[members]["bytes"] / machine["copy_bytes"],
            }
            row["flops"] = work[members]["flops"]
            row["jax_ratio"] = {name: jax_row[name]["median"] / row[name]["median"] for name in measured}
            summary.append(row)
    return summary


def command_of(options):
    members, implementations = " ".join(map(str, options.members)), " ".join(options.implementations)
    return (
        f"python benchmarks/predict_cpu.py --members {members} --repeats {options.repeats} --runs {options.runs}"
        f" --threads {options.threads} --implementations {implementations}"
    )


def markdown(results):
    def seconds(value):
        return "{median:.3f} ({min:.3f}-{max:.3f})".format(**value)

    def mib(value):
        return "{:.0f} ({:.0f}-{:.0f})".format(*(value[key] / MIB for key in ("median", "min", "max")))

    rows = [
        (
            *(r["members"], LABELS[r["implementation"]], seconds(r["seconds"]), seconds(r["first_seconds"])),
            *(mib(r["peak_rss_bytes"]), mib(r["peak_minus_before_bytes"])),
            *(f"{r['busy_cores']['median']:.2f}", f"{r['other_cores']['max']:.2f}"),
        )
        for r in results["summary"]
    ]
    ratios = [
        (
            *(r["members"], LABELS[r["implementation"]], *(f"{value:.2f}" for value in r["jax_ratio"].values())),
            f"{r['max_difference']:.1e}",
        )
        for r in results["summary"]
        if r["implementation"] != "jax"
    ]
    bounds = [
        (
            *(r["members"], LABELS[r["implementation"]], f"{r['flops'] / r['seconds']['median'] / 1e9:.0f}"),
            *(f"{value / r['seconds']['median']:.0%}" for value in r["least_seconds"].values()),
        )
        for r in results["summary"]
    ]
    machine = results["machine"]
    bound_header = ("N", "implementation", "10^9 operations/s", "of the matrix rate", "of the bandwidth")
    header = ("N", "implementation", "seconds", "first call, s", "peak RSS, MiB", "peak minus before, MiB")
    header += ("busy cores", "others' cores")
    ratio_header = ("N", "neuralizer_jax / ...", "time", "peak RSS", "peak minus before", "largest difference / std")
    others = max(r["other_cores"]["max"] for r in results["summary"])
    disturbed = ""
    if others > DISTURBED * results["hardware"]["cores"]:
        disturbed = f"\n**Not a quiet machine: other processes took up to {others:.2f} cores. Run again.**\n"
    return f"""{heading("One prediction on a CPU", "predict_cpu.py", results)}
The published network (64 features) at {SIZE[0]}x{SIZE[1]}, float32, N context members. Medians, with the smallest and
largest in brackets: of every timed prediction for the seconds, of every process for the others. The first call of
neuralizer_jax compiles; its memory counts in the peak. "Before" is the memory in use right before the first call: the
interpreter, the libraries, weights and inputs. Busy cores: processor time over time; others' cores: that of all other
processes on the machine (Linux only), the largest of the repetitions.

{table(header, rows)}
{disturbed}
Medians of neuralizer_jax divided by those of the other; below 1, neuralizer_jax needs less.

{table(ratio_header, ratios)}

How far that is from the machine: NumPy's float32 matrix product of 4096x4096 runs at
{machine["matrix_flops"] / 1e9:.0f} * 10^9 operations a second on these cores, a copy moves
{machine["copy_bytes"] / 1e9:.1f} * 10^9 bytes a second, the best of ten. For all rows the operations are those of
neuralizer_jax, a multiplication and an addition counted as two; PyTorch does more, 1x1 convolutions of what is
concatenated. Bytes are what XLA's one program for all members at once would move if nothing stayed in a cache: above
100 %, something does.

{table(bound_header, bounds)}
"""


def positive(text):
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{value}, expected at least 1")
    return value


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--members", type=positive, nargs="+", default=[1, 8, 32], help="sizes N of the context set")
    parser.add_argument("--repeats", type=positive, default=3, help="processes for each N and implementation")
    parser.add_argument("--runs", type=positive, default=3, help="timed predictions in a process")
    parser.add_argument(
        "--threads", type=positive, default=available_cores(), help="of each process; default: all cores"
    )
    parser.add_argument("--implementations", nargs="+", choices=LABELS, default=list(LABELS), help="jax is always one")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the results")
    options = parser.parse_args()
    options.members = sorted(set(options.members))
    options.implementations = [name for name in LABELS if name in ("jax", *options.implementations)]
    return options


def main():
    if sys.argv[1:2] == ["--child"]:
        what, *rest = sys.argv[2:]
        if what == "machine":
            return machine_child()
        if what == "work":
            return work_child(int(rest[0]))
        return child(what, Path(rest[0]), *map(int, rest[1:]))
    options = parse_options()
    try:
        results = conditions(command_of(options), ("jax", "jaxlib", "flax", "numpy", "torch"))
    except metadata.PackageNotFoundError as error:
        sys.exit(f"{error.name} is not installed, expected the project's requirements and PyTorch")
    machine = [printed_by(__file__, ["machine"], options.threads)]
    work = {members: printed_by(__file__, ["work", members], options.threads) for members in options.members}
    records = measure(options)
    machine.append(printed_by(__file__, ["machine"], options.threads))
    results["machine"] = {name: max(rates[name] for rates in machine) for name in machine[0]}
    results |= {"summary": summarize(records, options, work, results["machine"]), "records": records}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "predict_cpu.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.out / "predict_cpu.md").write_text(markdown(results))
    update()
    print(markdown(results))


if __name__ == "__main__":
    main()
