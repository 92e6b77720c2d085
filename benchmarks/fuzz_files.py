"""Runs made-up cases of all kinds of files, and counts how they end.

    python benchmarks/fuzz_files.py [--seed S] [--cases N] [--seconds T] [--kind KIND] [--write]

The cases have the seeds S to S + N - 1, and depend on nothing else: `--seed SEED --cases 1` runs one again. A fault is
printed with its seed. Status 1: there are faults. `tests/fuzz` has the cases and says what is right.
"""

import argparse
import os
import sys
import time
import warnings
from collections import Counter, defaultdict
from pathlib import Path

from conditions import conditions, heading, table, write_results

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from fuzz import stand_in
from fuzz.kinds import KINDS, run_case
from fuzz.outcome import CHANGED, FAULT, NOTED, REFUSED, RIGHT

VERDICTS = (RIGHT, NOTED, REFUSED, CHANGED, FAULT)
PACKAGES = ("neuralizer_jax", "numpy", "nibabel", "pillow", "safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="seed of the first case (default: 0)")
    parser.add_argument("--cases", type=int, default=5000, help="number of cases (default: 5000)")
    parser.add_argument("--seconds", type=float, default=1800, help="end after this time (default: 1800)")
    parser.add_argument("--kind", choices=KINDS, help="cases of one kind alone; the seeds then mean others")
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/fuzz.md")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    counts, seconds, faults, done = defaultdict(Counter), Counter(), [], 0
    results = conditions(" ".join(["python", "benchmarks/fuzz_files.py", *sys.argv[1:]]), PACKAGES)
    start = time.monotonic()
    with stand_in.in_place(), warnings.catch_warnings(action="error"):
        for seed in range(options.seed, options.seed + options.cases):
            if time.monotonic() - start > options.seconds:
                break
            before = time.process_time()
            kind, verdicts = run_case(seed, options.kind)
            seconds[kind] += time.process_time() - before
            counts[kind].update(verdict.name for verdict in verdicts)
            for verdict in verdicts:
                if verdict.name == FAULT:
                    faults.append(seed)
                    print(f"\nseed {seed}, {kind}: {verdict.detail}", flush=True)
            done += 1
    results["results"] = {
        "seed": options.seed,
        "cases": done,
        "counts": {kind: {name: counts[kind][name] for name in VERDICTS} for kind in KINDS if kind in counts},
        "cpu_seconds": {kind: round(seconds[kind], 1) for kind in counts},
        "faults": faults,
    }
    text = summary(results)
    if options.write:
        write_results("fuzz", results, text)
    else:
        print(text)
    sys.exit(1 if faults else 0)


def summary(results):
    found = results["results"]
    rows = [
        [f"{KINDS[kind][0]} (`{kind}`)", *counts.values(), f"{found['cpu_seconds'][kind]:.0f}"]
        for kind, counts in found["counts"].items()
    ]
    total = [sum(counts[name] for counts in found["counts"].values()) for name in VERDICTS]
    rows.append(["all", *total, f"{sum(found['cpu_seconds'].values()):.0f}"])
    return f"""{heading("Files from the wild", "fuzz_files.py", results)}
{found["cases"]} cases, seeds {found["seed"]} to {found["seed"] + found["cases"] - 1}.
Every case stores a made-up head in another way, or damages a file, and runs the command. A predictor that is sensitive
to every pixel takes the place of the network, so that a small fault of the reader shows.

{table(["kind of case", "right", "noted", "refused", "changed", "**fault**", "CPU seconds"], rows)}

- right: the labels of the plain file, on the grid of the file.
- noted: other labels, and a note that says why (allowed where a file is unclear, such as one without orientation).
- refused: one line on stderr that names the file, status 2, and nothing written.
- changed: another result without a word: only after damage that nothing in the file can tell, such as another voxel in
  a format without a checksum.
- fault: a traceback, other labels without a word, a refusal where the file is clear, no end within 20 s, or more than
  400 MB of memory.
"""


if __name__ == "__main__":
    main()
