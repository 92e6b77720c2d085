"""Trained weights on other scans, beside U-Nets, and on held-out tasks.

From the repository root, after these experiments. Reads the folders of their results:

    neuralizer experiment --config experiments/pretrained_others.py --out results/pretrained_others
    neuralizer experiment --config experiments/pretrained_unets.py --out results/pretrained_unets
    neuralizer experiment --config experiments/experiment1.py:scale=heldout --out results/heldout
    python benchmarks/pretrained_comparisons.py --results results

Writes `pretrained_comparisons.json` and `pretrained_comparisons.md` to `benchmarks/results`. Together
the experiments take hours: a part whose folder is missing stays as it was, with its date.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from conditions import conditions, heading, table, write_results  # noqa: E402
from pretrained import MEMBERS, MODEL, best_untrained, dice_table, of_experiment, rounded, sources, tasks_table  # noqa: E402

from neuralizer_jax.report.results import read_results  # noqa: E402
from neuralizer_jax.report.shown_names import BASELINE, METRICS, UNSEEN, shown_task  # noqa: E402

OTHERS, UNETS, HELD_OUT = "pretrained_others", "pretrained_unets", "heldout"
EXPERIMENTS = {
    OTHERS: ("experiment1", "ablations"),
    UNETS: ("experiment1",),
    HELD_OUT: ("experiment1", "experiment1_modalities"),
}


def summary(folder, experiments, date):
    """Scores from a folder of results."""
    results = read_results(folder)
    found = {experiment: of_experiment(results, experiment) for experiment in experiments}
    return sources(results) | {"date": date} | found


def unet_table(found):
    """Each image task's main metric at N = 8: the trained weights, the U-Net, and the best untrained baseline."""
    rows = []
    for task, scores in found["tasks"].items():
        metric = found["metrics"][task]
        if metric != "dice":
            best = best_untrained(scores, MODEL, BASELINE)
            numbers = [rounded(scores[name], metric) for name in (MODEL, BASELINE, best)]
            rows.append((shown_task(task), METRICS[metric], *numbers[:-1], f"{numbers[-1]} ({best.lower()})"))
    return table(("", "metric", MODEL, BASELINE, "best untrained baseline"), rows)


def held_out_table(found):
    """Seen, unseen, and the best untrained baseline if it was evaluated, for each task that was held out."""
    rows = []
    for task, scores in found["tasks"].items():
        if UNSEEN not in scores:
            continue
        metric = found["metrics"][task]
        best = best_untrained(scores, MODEL, UNSEEN)
        numbers = [scores[MODEL], scores[UNSEEN], scores[MODEL] - scores[UNSEEN]]
        row = [shown_task(task), METRICS[metric], *(rounded(number, metric) for number in numbers)]
        rows.append([*row, f"{rounded(scores[best], metric)} ({best.lower()})"] if best else row)
    head = ("", "metric", "seen", "unseen", "seen - unseen", "best untrained baseline")
    return table(head[: max(map(len, rows))], rows)


def markdown(results):
    """The tables of all parts."""
    found = results["results"]
    others, unets, held_out = (found[name] for name in (OTHERS, UNETS, HELD_OUT))
    parts = [
        heading("Trained weights in comparisons", "pretrained_comparisons.py", results).strip(),
        "For masks, the mean context output is the majority vote of the aligned labels.",
        f"## Scans from elsewhere ({others['date']})",
        "The T1 scan with labels that VoxelMorph publishes, and the MNI152 template, which has none; nothing was "
        "trained on either. Contexts are of the 15 scans of the MICCAI 2012 challenge.",
        "Mean of seven structures, one scan:",
        dice_table(others["experiment1"]["structures_by_size"], "N = {}"),
        f"All tasks, N = {MEMBERS}:",
        tasks_table(others["experiment1"]),
        f"Contexts of label maps, their images synthetic and of another modality than T1, N = {MEMBERS}:",
        tasks_table(others["ablations"]),
        f"## U-Nets ({unets['date']})",
        "Seven real scans of the MICCAI 2012 challenge. The U-Nets, one for each structure or other task, are trained "
        "on N of the eight others, of which the contexts are; Neuralizer was trained on none. White matter, cortex, "
        f"ventricle, thalamus, hippocampus and putamen on the left; brain stem. N = {MEMBERS}:",
        dice_table(unets["experiment1"]["structures"]),
        "Their mean:",
        dice_table(unets["experiment1"]["structures_by_size"], "N = {}"),
        f"Other tasks, N = {MEMBERS}:",
        unet_table(unets["experiment1"]),
        f"## Tasks, classes and modalities held out of training ({held_out['date']})",
        "Three models of 32 features, 2,000 steps at 64x64 on label maps, scored on maps of other persons at 64x64: "
        "one has seen everything; one neither inpainting, super-resolution, thalami nor T2; one neither denoising, "
        f"undersampled reconstruction nor hippocampi. Segmentation is of thalami and hippocampi. N = {MEMBERS}:",
        held_out_table(held_out["experiment1"]),
        "On T2, which the unseen model has not seen in any task (nor inpainting and super-resolution in any modality):",
        held_out_table(held_out["experiment1_modalities"]),
    ]
    return "\n\n".join(parts) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="folder of the experiments' folders")
    options = parser.parse_args()
    command = shlex.join(["python", "benchmarks/pretrained_comparisons.py", *sys.argv[1:]])
    results = conditions(command, ("jax", "jaxlib", "flax", "numpy"))
    before = json.loads((ROOT / "benchmarks/results/pretrained_comparisons.json").read_text())["results"]
    there = [name for name in EXPERIMENTS if (options.results / name).is_dir()]
    new = {name: summary(options.results / name, EXPERIMENTS[name], results["date"]) for name in there}
    results["results"] = {name: new.get(name) or before[name] for name in EXPERIMENTS}
    write_results("pretrained_comparisons", results, markdown(results))


if __name__ == "__main__":
    main()
