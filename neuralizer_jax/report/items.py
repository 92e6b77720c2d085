"""The parts of a report: figures and tables of the paper, or the reason why one cannot be made from the results."""

from collections.abc import Callable, Mapping

from neuralizer_jax.evaluation.scores import Kind
from neuralizer_jax.report.comparison import Comparison, of_t1
from neuralizer_jax.report.figures import context_size_figure, differences_figure, scores_figure
from neuralizer_jax.report.item import Item, table_item
from neuralizer_jax.report.planes import planes_table
from neuralizer_jax.report.results import LeftOut, Results
from neuralizer_jax.report.shown_names import BASELINE, SEEN, UNSEEN, shown_size, shown_task
from neuralizer_jax.report.statistics import (
    Estimate,
    class_scores,
    compared,
    main_metrics,
    main_scores,
    relative_performance,
    task_means,
)
from neuralizer_jax.report.structure_items import structure_makers
from neuralizer_jax.report.tables import classes_table, differences_table, runtime_table, scores_table

# Experiments in the table of scores (paper, section 4): baselines, held-out modalities, context sizes, a new label
# protocol, ablations, slices of several planes and positions.
BASELINES, MODALITIES, SIZES = "experiment1", "experiment1_modalities", "experiment2"
PROTOCOL, ABLATIONS, PLANES = "experiment3", "ablations", "planes"

# The other metric of a task with this main metric.
_OTHER_METRIC = {"dice": "hd95", "psnr": "ssim"}

_MEANS = "Means over draws, then subjects, then cells (dataset, modality, class)"
_INTERVALS = "95 % bootstrap intervals over subjects in brackets"


def report_items(results: Results, class_names: Mapping[str, str]) -> tuple[list[Item], list[str]]:
    """All parts that can be made, and a line with the reason for each of the others."""
    makers: dict[str, Callable[[str], Item]] = {
        "figure4": lambda name: _scores(name, results.comparison(BASELINES), "all modalities (Figure 4)"),
        "figure4_t1": lambda name: _t1(name, results.comparison(BASELINES)),
        "table4": lambda name: _tasks(name, results.comparison(BASELINES)),
        "table_seen_unseen": lambda name: _seen_unseen(name, results.comparison(BASELINES), "task or class"),
        "table_modalities": lambda name: _seen_unseen(name, _own(results, MODALITIES), "modality"),
        "table_baselines": lambda name: _baselines(name, results.comparison(BASELINES)),
        "table_untrained": lambda name: _untrained(name, results.comparison(BASELINES)),
        "table_other_metrics": lambda name: _other_metrics(name, results),
        "figure5": lambda name: _sizes(name, results),
        "table3": lambda name: _classes(name, results, class_names),
        "ablations": lambda name: _ablations(name, results),
        "table_ablations": lambda name: _ablations(name, results),
        "table_planes": lambda name: _planes(name, results),
        **structure_makers(results, class_names),
        "table_runtime": lambda name: _runtime(name, results),
    }
    items, left_out = [], []
    for name, make in makers.items():
        try:
            items.append(make(name))
        except LeftOut as reason:
            left_out.append(f"{name}: {reason}")
    return items, left_out


def relative(results: Results) -> tuple[str, dict[str, dict[float, float]]]:
    """The model whose context sizes are compared, and its `relative_performance`. Raises LeftOut if there is none."""
    name, scores = results.of(SIZES, BASELINES)
    scores = main_scores(scores[scores["kind"] == Kind.IN_CONTEXT])
    if scores.empty:
        raise LeftOut(f"{name} has no model with a context")
    models = set(scores["model"])
    model = SEEN if SEEN in models else min(models)
    found = relative_performance(scores[scores["model"] == model])
    shares = {task: of for task, of in found.items() if len(of) > 1}
    if not shares:
        raise LeftOut(f"{name} has no subject with {model} at more than one N")
    return model, shares


def _scores(name: str, comparison: Comparison, which: str) -> Item:
    values = {key: found.value for key, found in comparison.means.items() if key[0] in comparison.models}
    if not values:
        raise LeftOut(f"no scores of {which}")
    caption = (
        f"Scores against the number of context members, or of training subjects of the baseline. {_MEANS};"
        f" bars: standard error over modalities, where there are several. {_what_is_compared(comparison)}"
    )
    figure = scores_figure(values, comparison.errors, comparison.metrics)
    return Item(name, f"Scores against context size, {which}", caption, figure)


def _t1(name: str, comparison: Comparison) -> Item:
    t1 = of_t1(comparison)
    if len(t1.given) == len(comparison.given):
        raise LeftOut("all inputs are T1, see figure4")
    return _scores(name, t1, "T1 input alone (Figure 4)")


def _tasks(name: str, comparison: Comparison) -> Item:
    columns = {model: comparison.at(model, comparison.size) for model in comparison.models}
    title = f"Scores at N = {shown_size(comparison.size)}"
    caption = f"{title}. {_MEANS}, {_INTERVALS}; best in bold. {_what_is_compared(comparison)}"
    return table_item(f"{title} (Table 4)", scores_table(name, caption, columns, comparison.metrics))


def _own(results: Results, experiment: str) -> Comparison:
    """The comparison of exactly this experiment. Raises LeftOut if it is missing."""
    if experiment not in set(results.scores["experiment"]):
        raise LeftOut(f"scores.csv has no {experiment}")
    return results.comparison(experiment)


def _seen_unseen(name: str, comparison: Comparison, held_out: str) -> Item:
    if missing := {SEEN, UNSEEN} - set(comparison.models):
        raise LeftOut(f"no {' or '.join(sorted(missing))} to compare")
    columns = _differences(comparison, SEEN, UNSEEN)
    caption = (
        f"{SEEN} minus {UNSEEN}: what is lost if a {held_out} was not trained on. {_MEANS}, {_INTERVALS}, on the"
        " same subjects and contexts; bold where the interval is above 0."
    )
    return table_item(f"Seen minus unseen, {held_out}", differences_table(name, caption, columns, comparison.metrics))


def _baselines(name: str, comparison: Comparison) -> Item:
    model = comparison.context_model
    if model is None:
        raise LeftOut("all models are baselines")
    columns = _differences(comparison, model, BASELINE)
    if not columns:
        raise LeftOut(f"no N at which there are {model} and {BASELINE}")
    caption = (
        f"{model} with N context members minus {BASELINE} trained on N subjects of the task. {_MEANS}, {_INTERVALS}, on"
        " the same subjects; bold where the interval is above 0."
    )
    return table_item(f"{model} minus {BASELINE}", differences_table(name, caption, columns, comparison.metrics))


def _untrained(name: str, comparison: Comparison) -> Item:
    untrained = comparison.of_kind(Kind.UNTRAINED)
    if not untrained:
        raise LeftOut("no untrained baselines")
    models = [*comparison.of_kind(Kind.IN_CONTEXT), *untrained]
    columns = {model: comparison.at(model, comparison.size) for model in models}
    caption = (
        f"Models beside untrained baselines at N = {shown_size(comparison.size)}. {_MEANS}; best in bold."
        f" {_what_is_compared(comparison)}"
    )
    table = scores_table(name, caption, columns, comparison.metrics, intervals=False)
    return table_item("Untrained baselines", table)


def _other_metrics(name: str, results: Results) -> Item:
    _, scores = results.of(BASELINES)
    comparison = results.comparison(BASELINES)
    metrics = {task: _OTHER_METRIC[metric] for task, metric in main_metrics(scores).items()}
    scores = scores[(scores["metric"] == scores["task"].map(metrics)) & (scores["size"] == comparison.size)]
    scores = scores[scores["model"].isin(comparison.models)]
    columns: dict[str, dict[str, Estimate]] = {model: {} for model in comparison.models}
    for (model, task, _), found in task_means(compared(scores)).items():
        columns[model][task] = found
    if not any(columns.values()):
        raise LeftOut("no hd95 or ssim")
    missing = scores[scores["value"].isna()]["model"].value_counts()
    counts = [f"{missing.get(model, 0)} of {model}" for model in comparison.models]
    caption = (
        f"Surface distance (95th percentile, mm; less is better) of masks, SSIM of images, at"
        f" N = {shown_size(comparison.size)}. {_MEANS}, {_INTERVALS}; best in bold. Left out for all models because a"
        f" mask is empty: {', '.join(counts)}."
    )
    return table_item("Surface distance and SSIM", scores_table(name, caption, columns, metrics))


def _sizes(name: str, results: Results) -> Item:
    model, shares = relative(results)
    caption = (
        f"{model}: score (Dice or PSNR) at each context size as a share of the best over sizes. {_MEANS}, of the"
        " subjects that have all sizes; thick: mean of tasks."
    )
    return Item(name, "Relative performance against context size (Figure 5)", caption, context_size_figure(shares))


def _classes(name: str, results: Results, class_names: Mapping[str, str]) -> Item:
    comparison = results.comparison(PROTOCOL)
    scores = comparison.scores[comparison.scores["model"].isin(comparison.models)]
    scores = scores[(scores["task"] == "segmentation") & (scores["metric"] == "dice")]
    if not any(scores["class"]):
        raise LeftOut("no Dice of a class")
    caption = (
        "Dice of each class: mean ± standard deviation over subjects, of a subject's mean over draws and modalities;"
        " last the mean of classes; best in bold. N: context members, or training subjects of the baseline."
    )
    table = classes_table(name, caption, class_scores(scores), comparison.models, class_names)
    return table_item("Segmentation by class (Table 3)", table)


def _ablations(name: str, results: Results) -> Item:
    comparison = _own(results, ABLATIONS)
    others = [model for model in comparison.models if model != SEEN]
    if SEEN not in comparison.models or not others:
        raise LeftOut(f"{ABLATIONS} has no {SEEN} with another model beside it")
    n = comparison.size
    columns = {model: comparison.differences(model, SEEN, n) for model in others}
    intervals = "95 % bootstrap intervals over subjects, on the same subjects"
    caption = f"Differences to {SEEN} at N = {shown_size(n)}. {_MEANS}, {intervals}."
    if name.startswith("table"):
        return table_item("Ablations", differences_table(name, caption, columns, comparison.metrics))
    flat = {(model, task): found for model, column in columns.items() for task, found in column.items()}
    return Item(name, "Ablations", caption, differences_figure(flat, comparison.metrics, SEEN))


def _planes(name: str, results: Results) -> Item:
    comparison = _own(results, PLANES)
    caption = (
        f"Scores at N = {shown_size(comparison.size)} by plane and position (mm in MNI152), beside those of the same"
        f" subjects and classes in one slice. {_MEANS}, then tasks, {_INTERVALS}; bold where the interval is above 0."
    )
    return table_item("Planes and positions", planes_table(name, caption, comparison))


def _runtime(name: str, results: Results) -> Item:
    if not results.runtime:
        raise LeftOut("no runtime.json")
    caption = "Size and time. N: context members; GFLOP, seconds and memory are those of one prediction."
    return table_item("Runtime and size", runtime_table(name, caption, results.runtime))


def _differences(comparison: Comparison, model: str, other: str) -> dict[str, dict[str, Estimate]]:
    """A model minus another, by heading: the sizes that both have."""
    sizes = comparison.shared_sizes(model, other)
    return {f"N = {shown_size(n)}": comparison.differences(model, other, n) for n in sizes}


def _what_is_compared(comparison: Comparison) -> str:
    kept, given = len(comparison.scores), len(comparison.given)
    text = f"Compared by {kept:,} of {given:,} scores, those of the subjects and contexts that all models have."
    uneven = ", ".join(map(shown_task, comparison.uneven()))
    return text + (f" Not all N have the same cells: {uneven}." if uneven else "")
