"""Whole volumes: accuracy and time of `predict_volume`, leave-one-out, on scans as they come.

From the repository root, with a folder of the MICCAI 2012 multi-atlas challenge (`*_SS.nii.gz`, `*_glm.nii.gz`):

    python benchmarks/predict_volumes.py MULTIATLAS --examples 8 1

Each scan is segmented from the most similar of the others. The scans are not aligned beforehand.
Compared with the majority vote of the same examples' aligned labels. Times are of all threads together, without
compilation if the programs are cached. Writes `predict_volumes.json` and `predict_volumes.md` to `benchmarks/results`
after each scan.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from conditions import conditions, heading, typed, write_results  # noqa: E402
from write_tables import table  # noqa: E402

from input_pipeline.space.structure_names import NEUROMORPHOMETRICS_CLASSES  # noqa: E402
from neuralizer_jax import load_weights, predict_volume, read_example, use_compilation_cache  # noqa: E402
from neuralizer_jax.volumes.aligned import align_example, align_scan  # noqa: E402
from neuralizer_jax.volumes.boxes import cut  # noqa: E402

STRUCTURES = (35, 47, 48, 51, 52, 57, 58, 59, 60)


def dice(one, other):
    return 2 * np.count_nonzero(one & other) / max(1, np.count_nonzero(one) + np.count_nonzero(other))


def majority_vote(found, examples, aligned, label):
    """Dice of the majority vote of the examples that the structure was predicted from, on the MNI152 grid."""
    structure = found.structures[label].prediction
    names = {name for name, _ in structure.examples}
    votes = [cut(x.labels, x.scan.to_mni, structure.box, label=label) for x in examples if x.scan.name in names]
    truth = cut(aligned.labels, aligned.scan.to_mni, structure.box, label=label) > 0
    return dice(np.mean(votes, axis=0) > 0.5, truth)


def scores(network, target, examples, aligned, structures, count):
    """A row for each structure of a target, and the seconds that its prediction took."""
    started, worked = time.perf_counter(), time.process_time()
    found = predict_volume(*network, target.scan, examples, label_values=structures, examples_per_target=count)
    seconds = {"clock": time.perf_counter() - started, "work": time.process_time() - worked}
    rows = []
    for label in structures:
        truth = target.labels == label
        rows.append(
            {
                "label": label,
                "dice": dice(found.labels == label, truth),
                "vote": majority_vote(found, examples, aligned, label),
                "volume": np.count_nonzero(found.labels == label) / np.count_nonzero(truth) - 1,
                "confidence": found.structures[label].confidence,
            }
        )
    return rows, seconds


def registration_seconds(scan):
    with tempfile.TemporaryDirectory() as empty:
        worked = time.process_time()
        align_scan(scan, cache=Path(empty))
    return time.process_time() - worked


def mean(rows, key, **where):
    values = [abs(row[key]) if key == "volume" else row[key] for row in rows if where.items() <= row.items()]
    return float(np.mean(values))


def page(results):
    """The results as Markdown."""
    text = heading("Whole volumes", "predict_volumes.py", results)
    rows = results["rows"]
    subjects = sorted({row["subject"] for row in rows})
    text += (
        f"\nLeave-one-out over {len(subjects)} of {results['scans']} scans: {', '.join(subjects)}. Dice in 3-D, mean"
    )
    text += " over the scans; error of the volume without its sign.\n"
    for count in sorted({row["examples"] for row in rows}, reverse=True):
        own = [row for row in rows if row["examples"] == count]
        lines = [
            [
                NEUROMORPHOMETRICS_CLASSES[label],
                f"{mean(own, 'dice', label=label):.3f}",
                f"{min(row['dice'] for row in own if row['label'] == label):.3f}",
                f"{mean(own, 'vote', label=label):.3f}",
                f"{mean(own, 'volume', label=label):.1%}",
            ]
            for label in results["structures"]
        ]
        least = min(mean(own, "dice", subject=subject) for subject in {row["subject"] for row in own})
        lines.append(["mean", *(f"{x:.3f}" for x in (mean(own, "dice"), least, mean(own, "vote")))])
        lines[-1].append(f"{mean(own, 'volume'):.1%}")
        text += f"\nN = {count}:\n\n"
        text += table(["structure", "Dice", "worst scan", "majority vote", "error of the volume"], lines)
        times = [row for row in results["times"] if row["examples"] == count]
        text += f"\n\n{np.mean([row['work'] for row in times]) / len(results['structures']):.0f} s of work a structure,"
        text += f" {np.mean([row['clock'] for row in times]):.0f} s a scan by the clock.\n"
    text += f"\nRegistration of a scan: {results['registration_s']:.0f} s of work. Largest memory of the process, which"
    text += f" holds {results['scans']} scans: {results['memory_gib']:.1f} GiB.\n"
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--subjects", nargs="+", help="default: all")
    parser.add_argument("--structures", nargs="+", type=int, default=STRUCTURES)
    parser.add_argument("--examples", nargs="+", type=int, default=[8])
    parser.add_argument("--weights", default="small")
    options = parser.parse_args()
    results = conditions(typed("predict_volumes.py"), ["jax", "flax", "numpy", "scipy", "SimpleITK"])

    use_compilation_cache()
    network = load_weights(options.weights)
    paths = sorted(options.folder.glob("*_SS.nii.gz"))
    scans = {path.name[:4]: read_example(path, path.with_name(f"{path.name[:4]}_glm.nii.gz")) for path in paths}
    aligned = {name: align_example(example) for name, example in scans.items()}
    chosen = options.subjects or list(scans)
    results |= {"scans": len(scans), "structures": list(options.structures), "rows": [], "times": []}
    results["registration_s"] = registration_seconds(scans[chosen[0]].scan)
    for name in chosen:
        others = [example for other, example in aligned.items() if other != name]
        for count in options.examples:
            rows, seconds = scores(network, scans[name], others, aligned[name], options.structures, count)
            results["rows"] += [{"subject": name, "examples": count, **row} for row in rows]
            results["times"].append({"subject": name, "examples": count, **seconds})
            results["memory_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            write_results("predict_volumes", results, page(results))


if __name__ == "__main__":
    main()
