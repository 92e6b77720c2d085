"""New weights beside those in the package, on the same cases, before anything is replaced: one table with the goals.

From the repository root, with the datasets of `experiments/pretrained_evaluation.py` and scans of others in data/bids:

    EVALUATION=experiments/pretrained_evaluation.py:others=1,quick=1
    neuralizer experiment --config $EVALUATION --out results/before
    neuralizer experiment --config $EVALUATION,weights=NEW.safetensors --out results/after
    python benchmarks/pretrained_goals.py --before results/before --after results/after

`quick=1` takes few subjects. Cases that both have are compared: an evaluation with it can stand beside one without it.
So `base` is compared with `small`. Dice is the mean of seven structures at N = 8 or as given. A lead is over
the best untrained baseline. Goals are those set before the new weights were trained; for the real scans their distance
to what `small` had then is kept, because these scans are aligned by intensities now.

Writes `pretrained_goals.json` and `pretrained_goals.md` to `benchmarks/results`.
"""

import argparse
import shlex
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from conditions import conditions, heading, table, write_results  # noqa: E402

from neuralizer_jax.cli.report import class_names  # noqa: E402
from neuralizer_jax.evaluation.scores import CASE_KEYS, Kind, read_scores  # noqa: E402
from neuralizer_jax.report.expected import expected_scores  # noqa: E402
from neuralizer_jax.report.planes import REFERENCE, in_both  # noqa: E402

SEEN, OTHER, N = "Neuralizer-seen", "Context of other modalities", 8
SCANS, MAPS, BIDS = "multiatlas2012", "labelmaps", "bids"
TITLES = {SCANS: "real scans", MAPS: "label maps", BIDS: "scan from elsewhere"}

# Folder, experiment, model, task, N, goal.
DICE = (
    (SCANS, "experiment1", SEEN, "real scans", 1, 0.851),
    (SCANS, "experiment1", SEEN, "real scans", N, 0.888),
    (MAPS, "ablations", OTHER, "label maps, contexts of another contrast", N, 0.82),
    (BIDS, "ablations", SEEN, "scan from elsewhere, contexts of label maps", N, 0.75),
)
LEAD, SMALL_LEAD = 1.5, 1.0
LEADS = {"Motion correction": SMALL_LEAD, "Two modality transfer": SMALL_LEAD}
DENOISING, PLANES = 31.0, -0.02


def read(folder, dataset, experiment):
    """Scores of an experiment; None if they are missing."""
    path = folder / dataset / "scores.csv"
    scores = read_scores(path) if path.exists() else pd.DataFrame({"experiment": []})
    scores = scores[scores["experiment"] == experiment]
    return scores if len(scores) else None


def of_both(folders, dataset, experiment):
    """The scores of an experiment in each folder, of the cases that all of them have."""
    found = {
        name: scores for name, folder in folders.items() if (scores := read(folder, dataset, experiment)) is not None
    }
    if len(found) < len(folders):
        return {}
    key = ["model", "context_size", "metric", *CASE_KEYS]
    indices = {name: pd.MultiIndex.from_frame(scores[key]) for name, scores in found.items()}
    for name in found:
        for index in indices.values():
            found[name] = found[name][pd.MultiIndex.from_frame(found[name][key]).isin(index)]
    return found


def expected(scores, model):
    """What `expected_scores` finds for a model and the untrained baselines, by what is predicted."""
    return expected_scores(
        scores[(scores["model"] == model) | (scores["kind"] == Kind.UNTRAINED)], model, class_names()
    )


def dice_rows(folders):
    for dataset, experiment, model, title, size, goal in DICE:
        values = {}
        for name, scores in of_both(folders, dataset, experiment).items():
            found = expected(scores, model)
            means = next((its for label, its in found.items() if label.startswith("Segmentation")), None)
            if means and size in means.model:
                values[name] = means.model[size]
        yield f"{title}, Dice, N = {size}", values, goal, 3


def plane_rows(folders):
    """Dice minus that of the same structures and subjects in the mid coronal slice: the mean of planes, the lowest."""
    for dataset in (SCANS, MAPS):
        means, lowest = {}, {}
        for name, scores in of_both(folders, dataset, "planes").items():
            scores = scores[(scores["model"] == SEEN) & (scores["metric"] == "dice")]
            differences = []
            for place in set(zip(scores["plane"], scores["position"], strict=True)) - {REFERENCE}:
                here, there = (expected(part, SEEN) for part in in_both(scores, place, REFERENCE))
                if here and there:
                    first, second = (next(iter(its.values())).model for its in (here, there))
                    differences.append(first[N] - second[N])
            if differences:
                means[name], lowest[name] = sum(differences) / len(differences), min(differences)
        yield f"{TITLES[dataset]}, other planes, Dice minus mid coronal, mean", means, PLANES, 3
        yield f"{TITLES[dataset]}, other planes, Dice minus mid coronal, lowest", lowest, PLANES, 3


def image_rows(folders):
    """PSNR and its lead over the best untrained baseline."""
    for dataset in (SCANS, MAPS):
        found = {name: expected(scores, SEEN) for name, scores in of_both(folders, dataset, "experiment1").items()}
        tasks = [label for label, its in next(iter(found.values()), {}).items() if its.metric == "psnr"]
        for task in tasks:
            values = {name: its[task].model[N] for name, its in found.items()}
            leads = {name: its[task].model[N] - its[task].untrained[N] for name, its in found.items()}
            if task == "Denoising" and dataset == SCANS:
                yield f"{TITLES[dataset]}, {task.lower()}, dB", values, DENOISING, 1
            yield f"{TITLES[dataset]}, {task.lower()}, lead in dB", leads, LEADS.get(task, LEAD), 1


def rows_of(folders):
    """All rows: title, values by folder, goal, digits."""
    return [*dice_rows(folders), *plane_rows(folders), *image_rows(folders)]


def markdown(results):
    shown = []
    for row in results["results"]:
        form = f"{{:.{row['digits']}f}}"
        cells = [form.format(row[name]) if name in row else "-" for name in results["folders"]]
        last = row.get(list(results["folders"])[-1])
        shown.append(
            (
                row["title"],
                *cells,
                form.format(row["goal"]),
                "" if last is None else "yes" if last >= row["goal"] else "no",
            )
        )
    head = ("", *results["folders"], "goal", "reached")
    return heading("Weights beside the goals", "pretrained_goals.py", results) + "\n" + table(head, shown) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="evaluation of the weights in the package")
    parser.add_argument("--after", type=Path, help="evaluation of the new weights")
    options = parser.parse_args()
    results = conditions(
        shlex.join(["python", "benchmarks/pretrained_goals.py", *sys.argv[1:]]), ("jax", "flax", "numpy")
    )
    folders = {name: folder for name in ("before", "after") if (folder := getattr(options, name))}
    results["folders"] = {name: str(folder) for name, folder in folders.items()}
    results["results"] = [
        {"title": title, "goal": goal, "digits": digits} | values for title, values, goal, digits in rows_of(folders)
    ]
    write_results("pretrained_goals", results, markdown(results))


if __name__ == "__main__":
    main()
