"""Whole volumes: accuracy and time of `predict_volume`, leave-one-out, on scans as they come.

From the repository root, with a folder of the MICCAI 2012 multi-atlas challenge (`*_SS.nii.gz`, `*_glm.nii.gz`):

    python benchmarks/predict_volumes.py MULTIATLAS --work FOLDER --processes 2

Each scan is segmented from the most similar of the others. No scan is aligned beforehand. The same examples' labels,
aligned affinely, give the majority vote. FOLDER keeps a row of each scan and number of examples: run again, it computes
those that are missing. Writes `predict_volumes.json` and `predict_volumes.md` to `benchmarks/results`.
"""

import argparse
import cProfile
import sys
import tempfile
import time
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from conditions import conditions, heading, typed, write_results  # noqa: E402
from kept_rows import add_options, network, rows_of  # noqa: E402
from write_tables import table  # noqa: E402

from input_pipeline.space.structure_names import NEUROMORPHOMETRICS_CLASSES  # noqa: E402
from neuralizer_jax import predict_volume, read_example  # noqa: E402
from neuralizer_jax.evaluation.label_fusion import majority_vote  # noqa: E402
from neuralizer_jax.evaluation.scores import TENTHS  # noqa: E402
from neuralizer_jax.evaluation.volume_scores import volume_scores  # noqa: E402
from neuralizer_jax.volumes.aligned import align_example  # noqa: E402

STRUCTURES = (35, 47, 48, 51, 52, 57, 58, 59, 60)
# The parts of a prediction whose time is shown, as their functions are called.
STAGES = {
    "alignment": "aligned.align_scan",
    "deformation": "deformation.find_deformation",
    "structures": "structure.predict_structure",
    "network": "slice_predictions.predict_planes",
    "evidence": "evidence.gather",
    "all": "predict.predict_volume",
}
MIDDLE = TENTHS[3:7]


def scans_of(folder):
    """The image of each subject of the challenge."""
    return {path.name[:4]: path for path in sorted(Path(folder).glob("*_SS.nii.gz"))}


@cache
def example(folder, subject):
    """A scan with its labels."""
    path = scans_of(folder)[subject]
    return read_example(path, path.with_name(f"{subject}_glm.nii.gz"))


@cache
def aligned(folder, subject):
    """The same, aligned, with the places of its labels; the alignment is kept in the user's cache."""
    found = align_example(example(folder, subject))
    assert found.moments
    return found


def others(folder, subject):
    """The aligned examples for a target."""
    return [aligned(folder, name) for name in scans_of(folder) if name != subject]


def measure(case):
    """Scores, evidence and time of a scan that is segmented from so many examples."""
    folder, subject, count, labels = (case[key] for key in ("folder", "subject", "examples", "structures"))
    target, truth, examples = example(folder, subject), aligned(folder, subject), others(folder, subject)
    profile, started = cProfile.Profile(time.process_time), time.perf_counter()
    with tempfile.TemporaryDirectory() as empty:  # so that the target is aligned
        found = profile.runcall(
            predict_volume, *network(case["weights"]), target.scan, examples, label_values=labels,
            examples_per_target=count, cache=Path(empty),
        )  # fmt: skip
    clock = time.perf_counter() - started
    vote = majority_vote(truth.scan, examples, labels, count)
    maps = {"": found.labels, "vote": vote}
    for name, share in (("network", 0.0), ("local_vote", 1.0)):
        maps[name] = alone(found, share)
    where = {"affine": target.scan.affine, "to_mni": truth.scan.to_mni}
    scored = {name: volume_scores(labels_found, target.labels, labels, **where) for name, labels_found in maps.items()}
    rows = [
        {
            "label": label, **scored[""][label],
            **{name: scored[name][label]["dice"] for name in maps if name},
            "in_view": found.structures[label].prediction.in_view,
            "evidence": asdict(found.structures[label].evidence),
        }
        for label in labels
    ]  # fmt: skip
    return {"rows": rows, "clock": clock, "work": work(profile)}


def alone(found, share):
    """The labels that the network finds without the vote (a share of 0), or the weighted vote without the network."""
    labels, best = np.zeros_like(found.labels), np.full(found.labels.shape, 0.5, np.float32)
    for label, structure in found.structures.items():
        structures = {label: replace(structure, prediction=replace(structure.prediction, share=share))}
        probability = replace(found, structures=structures).probability(label)
        better = probability > best
        labels[better], best[better] = label, probability[better]
    return labels


def work(profile):
    """Seconds of work, of all threads, in `predict_volume` and in the functions beside it."""
    found = {}
    for entry in profile.getstats():
        code = entry.code
        if not isinstance(code, str) and Path(code.co_filename).parent.name == "volumes" and entry.totaltime > 0.1:
            found[f"{Path(code.co_filename).stem}.{code.co_name}"] = round(entry.totaltime, 1)
    return found


def mean(rows, key, **where):
    """The mean of a score, without values that are missing."""
    return float(np.nanmean([row[key] for row in rows if where.items() <= row.items()]))


def page(results):
    """The results as Markdown."""
    text = heading("Whole volumes", "predict_volumes.py", results)
    text += f"""
Leave-one-out over {results["subjects"]} of {results["scans"]} scans, as they come. Dice in 3-D and 95 % surface
distance (HD95), means over the scans; error of the volume without its sign. The network alone: the mean of its three
planes without the vote. The majority vote is that of the same examples, aligned affinely.
"""
    for count, found in results["by_examples"].items():
        lines = [
            [name, *(f"{its[key]:.3f}" for key in ("dice", "worst", "network", "vote", "least_above_vote")),
             f"{its['hd95']:.1f}", f"{its['volume_error']:.1f} %"]
            for name, its in found["structures"].items()
        ]  # fmt: skip
        text += f"\nN = {count}:\n\n"
        text += table(
            ["structure", "Dice", "worst scan", "network alone", "majority vote", "least above the vote", "HD95, mm",
             "error of the volume"],
            lines,
        )  # fmt: skip
        worst = found["worst"]
        text += f"\n\nWorst scan: {worst['subject']}, mean Dice {worst['dice']:.3f}, majority vote {worst['vote']:.3f}."
        took = {name: f"{value:.0f}" for name, value in found["seconds"].items()}
        text += (
            f"\n\nSeconds of work for a scan: {took['alignment']} to align it ({took['deformation']} of them to deform"
        )
        text += f" it), {took['structures']} to predict structures, {took['evidence']} for their expected Dice,"
        text += f" {took['all']} in all. After the alignment, {took['structure']} a structure.\n"
    most = max(results["by_examples"], key=int)
    text += f"\nDice in each tenth of a structure's length, from posterior to anterior, N = {most}:\n\n"
    lines = [
        [name, *(f"{its['along_y'][tenth]:.2f}" for tenth in TENTHS), f"{its['ends_below_middle']:.2f}"]
        for name, its in results["by_examples"][most]["structures"].items()
    ]
    text += table(["structure", *map(str, range(1, 11)), "worse end below tenths 4 to 7"], lines)
    text += f"\n\nLargest memory of a process, which holds {results['scans']} scans: {results['memory_gib']:.1f} GiB.\n"
    return text


def summary(cases):
    """The numbers of the page for one number of examples."""
    rows = [row | {"subject": case["subject"]} for case in cases for row in case["rows"]]
    structures = {}
    for label in (*cases[0]["structures"], None):
        own = [row for row in rows if label in (None, row["label"])]
        scores = {key: mean(own, key) for key in ("dice", "network", "local_vote", "vote", "hd95", "volume_error")}
        along = {tenth: mean(own, tenth) for tenth in TENTHS}
        of_subjects = [mean(own, "dice", subject=case["subject"]) for case in cases]
        structures["mean" if label is None else NEUROMORPHOMETRICS_CLASSES[label]] = scores | {
            "worst": min(of_subjects),
            "least_above_vote": min(row["dice"] - row["vote"] for row in own),
            "along_y": along,
            "ends_below_middle": float(
                np.mean([along[tenth] for tenth in MIDDLE]) - min(along[TENTHS[0]], along[TENTHS[-1]])
            ),
        }
    worst = min((case["subject"] for case in cases), key=lambda subject: mean(rows, "dice", subject=subject))
    seconds = {name: float(np.mean([case["work"].get(key, 0) for case in cases])) for name, key in STAGES.items()}
    seconds["structure"] = (seconds["all"] - seconds["alignment"]) / len(cases[0]["structures"])
    return {
        "structures": structures,
        "worst": {"subject": worst, **{key: mean(rows, key, subject=worst) for key in ("dice", "vote")}},
        "seconds": seconds,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--subjects", nargs="+", help="default: all")
    parser.add_argument("--structures", nargs="+", type=int, default=STRUCTURES)
    parser.add_argument("--examples", nargs="+", type=int, default=[8, 1])
    add_options(parser)
    options = parser.parse_args()
    results = conditions(typed("predict_volumes.py"), ["jax", "flax", "numpy", "scipy", "SimpleITK"])
    scans = scans_of(options.folder)
    case = {"folder": str(options.folder), "weights": options.weights, "structures": list(options.structures)}
    cases = [
        case | {"subject": subject, "examples": count}
        for subject in options.subjects or scans
        for count in options.examples
    ]
    done = []
    for row in rows_of(cases, measure, options.work / "predict_volumes.jsonl", options.processes, options.only_kept):
        done.append(row)
        print(row["subject"], row["examples"], round(mean(row["rows"], "dice"), 3), flush=True)
    results |= {
        "scans": len(scans),
        "subjects": len({row["subject"] for row in done}),
        "memory_gib": max(row["memory_gib"] for row in done),
        "cases": [
            {"subject": row["subject"], "examples": row["examples"], "label": its["label"]}
            | {key: round(its[key], 4) for key in ("dice", "network", "vote", "volume_bias")}
            for row in done
            for its in row["rows"]
        ],
        "by_examples": {n: summary([row for row in done if row["examples"] == n]) for n in options.examples},
    }
    write_results("predict_volumes", results, page(results))


if __name__ == "__main__":
    main()
