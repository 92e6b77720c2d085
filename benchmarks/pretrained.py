"""Scores of trained weights on held-out subjects, in a few tables, and whether the spread tells the error.

From the repository root, after `experiments/pretrained_evaluation.py`. Reads the folder of its results:

    neuralizer prepare phantom --out data
    python benchmarks/pretrained.py --results results/pretrained

The Dice of a structure is the mean over draws, then modalities, then subjects, then left and right. The other scores
are those of the reports. This script computes two parts itself, in a quarter of an hour on two cores: a picture of one
phantom with contexts of six tasks (`pretrained_tasks.py`), and the correlation of spread and error of resampled
predictions (`pretrained_confidence.py`, kept in `RESULTS/confidence.json`).

Writes `pretrained.json`, `pretrained.md` and `pretrained_tasks.png` to `benchmarks/results`.
"""

import argparse
import hashlib
import json
import shlex
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from conditions import conditions, heading, table, write_results  # noqa: E402
from pretrained_confidence import measure  # noqa: E402
from pretrained_tasks import draw_tasks  # noqa: E402

from input_pipeline.space.structure_names import FREESURFER_CLASSES  # noqa: E402
from neuralizer_jax.files.atomic_file import written_whole  # noqa: E402
from neuralizer_jax.report.headline import cautions, headline  # noqa: E402
from neuralizer_jax.report.results import LeftOut, read_results  # noqa: E402
from neuralizer_jax.report.shown_names import METRICS, models_in_order, shown_task, tasks_in_order  # noqa: E402
from neuralizer_jax.report.statistics import class_scores, complete  # noqa: E402
from neuralizer_jax.weights.pretrained import DEFAULT, weights_path  # noqa: E402

MODEL, OTHER = "Neuralizer-seen", "Context of other modalities"
INPUT = "Input as it is"
MEMBERS = 8
MAPS, SCANS = "labelmaps", "multiatlas2012"
TITLES = {MAPS: "Label maps that were held out", SCANS: "Real scans, segmented by hand"}


def class_means(scores):
    """Mean Dice of each class over the subjects with scores at all context sizes: `{(model, n): {class: Dice}}`."""
    means = {}
    scores = complete(scores[(scores["task"] == "segmentation") & (scores["metric"] == "dice")])
    for (model, n, name), values in class_scores(scores).items():
        if name:
            means.setdefault((model, n), {})[name] = float(values.mean())
    return means


def structure_means(classes):
    """Mean Dice of each structure over its left and right side; `classes` are from `class_means`."""
    means = {}
    for key, values in classes.items():
        sides = {}
        for name, value in values.items():
            shown = FREESURFER_CLASSES[int(name.partition(":")[2])]
            sides.setdefault(shown.removeprefix("left ").removeprefix("right "), []).append(value)
        means[key] = {structure: float(np.mean(own)) for structure, own in sides.items()}
    return means


def by_size(means):
    """Mean Dice over structures or classes: `{model: {n: Dice}}`."""
    found = {}
    for (model, n), values in sorted(means.items()):
        found.setdefault(model, {})[int(n)] = float(np.mean(list(values.values())))
    return found


def of_experiment(results, experiment):
    """Scores of one experiment: by structure, and by task at N = 8."""
    comparison = results.comparison(experiment)
    structures = structure_means(class_means(comparison.scores))
    at_8 = {}
    for (model, task, n), estimate in comparison.means.items():
        if n == MEMBERS:
            at_8.setdefault(task, {})[model] = estimate.value
    return {
        "structures_by_size": by_size(structures),
        "structures": {model: values for (model, n), values in structures.items() if n == MEMBERS},
        "metrics": comparison.metrics,
        "tasks": {task: at_8[task] for task in tasks_in_order(comparison.metrics) if task in at_8},
    }


def sources(results):
    """Hashes of the scores and of the evaluated weights."""
    weights = sorted({record["sha256"] for record in results.models or () if record["sha256"]})
    return {"scores_sha256": results.sha256, "weights_sha256": weights}


def summary(folder):
    """Scores of one dataset, from its folder of results."""
    results = read_results(folder)
    every_class = class_means(results.comparison("experiment3").scores)
    return {
        "headline": dict(headline(results)),
        "cautions": cautions(results),
        **sources(results),
        **of_experiment(results, "experiment1"),
        "classes": max(len(values) for values in every_class.values()),
        "classes_by_size": by_size(every_class),
        "other_contrast": other_contrast(results),
    }


def other_contrast(results):
    """Scores of each task at N = 8 with contexts of the target's modality and of others; empty if not evaluated."""
    try:
        means = results.comparison("ablations").means
    except LeftOut:
        return {}
    return {
        task: [means[name, task, MEMBERS].value for name in (MODEL, OTHER)] for name, task, _ in means if name == OTHER
    }


def confidence(options):
    """The scans and their correlations: from the folder of results if they are of the same weights, else measured."""
    path, own = options.results / "confidence.json", hashlib.sha256(options.weights.read_bytes()).hexdigest()
    if path.exists() and (before := json.loads(path.read_text()))["weights_sha256"] == own:
        return before.get("scans", "the real scans"), before["correlations"]
    scores = read_results(options.results / SCANS).scores
    classes = set(scores.loc[scores["experiment"] == "experiment1", "class"]) - {""}
    found = measure(options.weights, options.data / SCANS, tuple(sorted(classes)))
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps({"weights_sha256": own} | found, indent=1) + "\n")
    return "the real scans", found["correlations"]


def dice_table(of_models, head="{}"):
    """A table with a row for each model, the trained one first; `of_models` is `{model: {column: Dice}}`."""
    columns = list(of_models[MODEL])
    rows = [
        (name, *(f"{of_models[name][column]:.3f}" if column in of_models[name] else "" for column in columns))
        for name in models_in_order(of_models)
    ]
    return table(("Dice", *(head.format(column) for column in columns)), rows)


def best_untrained(scores, *trained):
    """The name of the best untrained baseline, all but the trained models; empty if none was evaluated."""
    return max((name for name in scores if name not in trained), key=scores.get, default="")


def tasks_table(found):
    """Each task's main metric at N = 8, beside the input as it is and the best untrained baseline."""
    rows = []
    for task, scores in found["tasks"].items():
        metric = found["metrics"][task]
        best = best_untrained(scores, MODEL)
        numbers = scores[MODEL], scores[best], scores[MODEL] - scores[best], scores.get(INPUT)
        own, other, more, same = ("" if number is None else rounded(number, metric) for number in numbers)
        rows.append((shown_task(task), METRICS[metric], own, same, f"{other} ({best.lower()})", more))
    return table(("", "metric", "model", "input as it is", "best untrained baseline", "difference"), rows)


def contrast_table(found):
    """Each task's main metric at N = 8 with contexts of the target's modality and of others."""
    rows = [
        (shown_task(task), METRICS[found["metrics"][task]], *(rounded(one, found["metrics"][task]) for one in both))
        for task in tasks_in_order(found["metrics"])
        if (both := found["other_contrast"].get(task))
    ]
    return table(("", "metric", "the target's", "others"), rows)


def rounded(number, metric):
    return f"{number:.3f}" if metric == "dice" else f"{number:.2f}"


def markdown(results):
    """The tables of all parts."""
    found = results["results"]
    parts = [heading("Trained weights on held-out subjects", "pretrained.py", results).strip()]
    parts += ["For masks, the mean context output is the majority vote of the aligned labels."]
    for dataset, title in TITLES.items():
        own = found[dataset]
        parts += [f"## {title}", "\n".join(f"- {what}: {number}" for what, number in own["headline"].items())]
        parts += ["Mean of seven structures:", dice_table(own["structures_by_size"], "N = {}")]
        parts += [f"Each structure, N = {MEMBERS}:", dice_table(own["structures"])]
        parts += [
            f"Mean of the {own['classes']} classes of the slice that all N can show:",
            dice_table(own["classes_by_size"], "N = {}"),
        ]
        parts += [f"All tasks, N = {MEMBERS}:", tasks_table(own), "\n".join(f"- {line}" for line in own["cautions"])]
        if own["other_contrast"]:
            parts += [f"Contexts of the target's modality and of others, N = {MEMBERS}:", contrast_table(own)]
    rows = [
        (shown_task(task), f"{one['cases']:.2f}", f"{one['pixels']:.2f}", one["number"])
        for task, one in found["confidence"].items()
    ]
    parts += ["## Confidence", f"Spearman's correlation of spread and error on {found['confidence_scans']}:"]
    parts += [table(("", "over cases", "over pixels of a case", "cases"), rows)]
    parts += ["## One image, contexts of six tasks", "![A phantom with contexts of six tasks](pretrained_tasks.png)"]
    return "\n\n".join(filter(None, parts)) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="folder of experiments/pretrained_evaluation.py")
    parser.add_argument("--weights", type=weights_path, default=DEFAULT, help=f"that were evaluated ({DEFAULT})")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of prepared datasets (data)")
    options = parser.parse_args()
    command = shlex.join(["python", "benchmarks/pretrained.py", *sys.argv[1:]])
    results = conditions(command, ("jax", "jaxlib", "flax", "numpy"))
    results["results"] = {dataset: summary(options.results / dataset) for dataset in TITLES}
    draw_tasks(ROOT / "benchmarks/results/pretrained_tasks.png", options.weights, options.data / "phantom")
    results["results"]["confidence_scans"], results["results"]["confidence"] = confidence(options)
    write_results("pretrained", results, markdown(results))


if __name__ == "__main__":
    main()
