"""The parts of a report: each a figure or a table of the paper, or the reason why it cannot be made of the results."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from neuralizer_jax.report.comparison import Comparison, differences, of_t1
from neuralizer_jax.report.figures import context_size_figure, differences_figure, scores_figure
from neuralizer_jax.report.results import LeftOut, Results
from neuralizer_jax.report.shown_names import BASELINE, SEEN, UNSEEN, shown_task
from neuralizer_jax.report.statistics import (
    class_scores,
    compared,
    is_baseline,
    main_metrics,
    main_scores,
    relative_performance,
    task_means,
)
from neuralizer_jax.report.table_formats import Table
from neuralizer_jax.report.tables import classes_table, differences_table, runtime_table, scores_table

# Names of experiments in the table of scores: baselines, modalities held out, context sizes, new protocol (paper,
# section 4), ablations.
BASELINES, MODALITIES, SIZES = "experiment1", "experiment1_modalities", "experiment2"
PROTOCOL, ABLATIONS = "experiment3", "ablations"

# What a task is told in besides its main metric.
_OTHER_METRIC = {"dice": "hd95", "psnr": "ssim"}

_MEANS = "Means over draws, then subjects, then cells (dataset, modality, class)"
_INTERVALS = "95 % bootstrap intervals over subjects in brackets"


@dataclass(frozen=True, eq=False)
class Item:
    """A part of a report.

    Attributes:
        name: of its files.
        title: its heading.
        caption: what it shows, and what was averaged over what.
        content: a figure, or a table with the same name and caption.
    """

    name: str
    title: str
    caption: str
    content: Figure | Table


def report_items(results: Results, class_names: Mapping[str, str]) -> tuple[list[Item], list[str]]:
    """All parts that can be made, and of the others a line each that says why not."""
    makers: dict[str, Callable[[str], Item]] = {
        "figure4": lambda name: _scores(name, results.comparison(BASELINES), "all modalities (Figure 4)"),
        "figure4_t1": lambda name: _scores(name, of_t1(results.comparison(BASELINES)), "T1 input alone (Figure 4)"),
        "table4": lambda name: _tasks(name, results.comparison(BASELINES)),
        "table_seen_unseen": lambda name: _seen_unseen(name, results.comparison(BASELINES), "task or class"),
        "table_modalities": lambda name: _seen_unseen(name, _own(results, MODALITIES), "modality"),
        "table_baselines": lambda name: _baselines(name, results.comparison(BASELINES)),
        "table_trivial": lambda name: _trivial(name, results.comparison(BASELINES)),
        "table_other_metrics": lambda name: _other_metrics(name, results),
        "figure5": lambda name: _sizes(name, results),
        "table3": lambda name: _classes(name, results, class_names),
        "ablations": lambda name: _ablations(name, results),
        "table_ablations": lambda name: _ablations(name, results),
        "table_runtime": lambda name: _runtime(name, results),
    }
    items, left_out = [], []
    for name, make in makers.items():
        try:
            items.append(make(name))
        except LeftOut as reason:
            left_out.append(f"{name}: {reason}")
    return items, left_out


def relative(results: Results) -> tuple[str, dict[str, dict[int, float]]]:
    """The model whose context sizes are compared, and its `relative_performance`. Raises LeftOut for none."""
    name, scores = results.of(SIZES, BASELINES)
    scores = main_scores(scores)
    found = [model for model in scores.unique("model") if not is_baseline(model) and model not in results.trivial()]
    if not found:
        raise LeftOut(f"{name} has no model with a context")
    model = SEEN if SEEN in found else found[0]
    found = relative_performance(scores.where(model=model))
    shares = {task: of for task, of in found.items() if len(of) > 1}
    if not shares:
        raise LeftOut(f"{name} has no subject with {model} at more than one n")
    return model, shares


def _scores(name: str, comparison: Comparison, which: str) -> Item:
    values = {key: found.value for key, found in comparison.means.items() if key[0] in comparison.models and key[2]}
    if not values:
        raise LeftOut(f"no scores of {which}")
    caption = (
        f"Scores against the number of context members, or of training subjects of the baseline. {_MEANS};"
        f" bars: standard error over modalities, where there are several. {_what_is_compared(comparison)}"
    )
    figure = scores_figure(values, comparison.errors, comparison.metrics, comparison.size_names)
    return Item(name, f"Scores against context size, {which}", caption, figure)


def _tasks(name: str, comparison: Comparison) -> Item:
    columns = {model: comparison.at(model, comparison.size) for model in comparison.models}
    caption = f"Scores at N = {comparison.size}. {_MEANS}, {_INTERVALS}; best in bold. {_what_is_compared(comparison)}"
    return _table_item(
        f"Scores at N = {comparison.size} (Table 4)", scores_table(name, caption, columns, comparison.metrics)
    )


def _own(results: Results, experiment: str) -> Comparison:
    """The comparison of an experiment that no other can stand for. Raises LeftOut where it is missing."""
    if experiment not in results.scores.unique("experiment"):
        raise LeftOut(f"scores.csv has no {experiment}")
    return results.comparison(experiment)


def _seen_unseen(name: str, comparison: Comparison, held_out: str) -> Item:
    if missing := {SEEN, UNSEEN} - set(comparison.models):
        raise LeftOut(f"no {' or '.join(sorted(missing))} to compare")
    columns = {
        f"N = {n}": differences(comparison.means, SEEN, UNSEEN, n, comparison.metrics)
        for n in comparison.shared_sizes(SEEN, UNSEEN)
    }
    caption = (
        f"{SEEN} minus {UNSEEN}: what is lost where a {held_out} was not trained on. {_MEANS}, {_INTERVALS}, on the"
        " same subjects and contexts; bold where the interval is above 0."
    )
    return _table_item(f"Seen minus unseen, {held_out}", differences_table(name, caption, columns, comparison.metrics))


def _baselines(name: str, comparison: Comparison) -> Item:
    model = comparison.context_model
    if model is None:
        raise LeftOut("all models are baselines")
    sizes = comparison.shared_sizes(model, BASELINE)
    if not sizes:
        raise LeftOut(f"no n at which there are {model} and {BASELINE}")
    columns = {f"N = {n}": differences(comparison.means, model, BASELINE, n, comparison.metrics) for n in sizes}
    caption = (
        f"{model} with N context members minus {BASELINE} trained on N subjects of the task. {_MEANS}, {_INTERVALS}, on"
        " the same subjects; bold where the interval is above 0."
    )
    return _table_item(f"{model} minus {BASELINE}", differences_table(name, caption, columns, comparison.metrics))


def _trivial(name: str, comparison: Comparison) -> Item:
    if not comparison.trivial:
        raise LeftOut("no trivial predictors, which are models that models.json has no weights of")
    models = [model for model in comparison.models if not is_baseline(model)]
    columns = {model: comparison.at(model, comparison.size) for model in (*models, *comparison.trivial)}
    caption = (
        f"Models beside predictors that have learned nothing, at N = {comparison.size}. {_MEANS}; best in bold."
        f" {_what_is_compared(comparison)}"
    )
    table = scores_table(name, caption, columns, comparison.metrics, intervals=False)
    return _table_item("Trivial predictors", table)


def _other_metrics(name: str, results: Results) -> Item:
    _, scores = results.of(BASELINES)
    comparison = results.comparison(BASELINES)
    metrics = {task: _OTHER_METRIC[metric] for task, metric in main_metrics(scores).items()}
    keep = np.zeros(len(scores), bool)
    for task, metric in metrics.items():
        is_task = scores.codes["task"] == scores.names["task"].index(task)
        keep |= is_task & (np.array(scores.names["metric"]) == metric)[scores.codes["metric"]]
    scores = scores.rows(keep).where(model=comparison.models, n=comparison.size)
    means = task_means(compared(scores))
    columns = {model: {} for model in comparison.models}
    for (model, task, _), found in means.items():
        columns[model][task] = found
    if not any(columns.values()):
        raise LeftOut("no hd95 or ssim")
    missing = scores.rows(~np.isfinite(scores.value))
    counts = [f"{len(missing.where(model=model))} of {model}" for model in comparison.models]
    caption = (
        f"Surface distance (95th percentile, mm; less is better) of masks, SSIM of images, at N = {comparison.size}."
        f" {_MEANS}, {_INTERVALS}; best in bold. Left out for all models since a mask is empty: {', '.join(counts)}."
    )
    return _table_item("Surface distance and SSIM", scores_table(name, caption, columns, metrics))


def _sizes(name: str, results: Results) -> Item:
    model, shares = relative(results)
    caption = (
        f"{model}: the share of its best score over context sizes that each size reaches, of Dice as of PSNR. {_MEANS},"
        " of the subjects that have all sizes; thick: mean of tasks."
    )
    return Item(name, "Relative performance against context size (Figure 5)", caption, context_size_figure(shares))


def _classes(name: str, results: Results, class_names: Mapping[str, str]) -> Item:
    comparison = results.comparison(PROTOCOL)
    scores = comparison.scores.where(task="segmentation", metric="dice", model=comparison.models)
    if not any(scores.unique("class")):
        raise LeftOut("no Dice of a class")
    caption = (
        "Dice of each class: mean ± standard deviation over subjects, of a subject's mean over draws and modalities;"
        " last the mean of classes; best in bold. N: context members, or training subjects of the baseline."
    )
    found = class_scores(scores)
    return _table_item(
        "Segmentation by class (Table 3)",
        classes_table(name, caption, found, comparison.models, class_names, comparison.size_names),
    )


def _ablations(name: str, results: Results) -> Item:
    comparison = _own(results, ABLATIONS)
    others = [model for model in comparison.models if model != SEEN]
    if SEEN not in comparison.models or not others:
        raise LeftOut(f"{ABLATIONS} has no {SEEN} with another model beside it")
    n = comparison.size
    columns = {model: differences(comparison.means, model, SEEN, n, comparison.metrics) for model in others}
    caption = (
        f"Differences to {SEEN} at N = {n}. {_MEANS}, 95 % bootstrap intervals over subjects, on the same subjects."
    )
    if name.startswith("table"):
        return _table_item("Ablations", differences_table(name, caption, columns, comparison.metrics))
    flat = {(model, task): found for model, column in columns.items() for task, found in column.items()}
    return Item(name, "Ablations", caption, differences_figure(flat, comparison.metrics, SEEN))


def _runtime(name: str, results: Results) -> Item:
    if not results.runtime:
        raise LeftOut("no runtime.json")
    caption = "Size and time. N: context members; GFLOP, seconds and memory are those of one prediction."
    return _table_item("Runtime and size", runtime_table(name, caption, results.runtime))


def _table_item(title: str, table: Table) -> Item:
    return Item(table.name, title, table.caption, table)


def _what_is_compared(comparison: Comparison) -> str:
    kept, given = len(comparison.scores), len(comparison.given)
    text = f"Compared by {kept:,} of {given:,} scores, those of subjects and contexts that all models have."
    uneven = ", ".join(map(shown_task, comparison.uneven()))
    return text + (f" Not all N have the same cells: {uneven}." if uneven else "")
