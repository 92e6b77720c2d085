"""The few numbers that stand at the top of a report, and what its reader has to be warned of."""

from neuralizer_jax.report.comparison import Comparison, differences, metric_means
from neuralizer_jax.report.figures import relative_mean
from neuralizer_jax.report.items import BASELINES, relative
from neuralizer_jax.report.results import LeftOut, Results
from neuralizer_jax.report.shown_names import BASELINE, METRICS, SEEN, UNSEEN, shown_task
from neuralizer_jax.report.statistics import Estimate, is_baseline
from neuralizer_jax.report.tables import shown_estimate


def headline(results: Results) -> list[tuple[str, str]]:
    """What the paper claims, in the numbers of these results: (what, how much) each, as far as they tell it."""
    numbers = []
    try:
        comparison = results.comparison(BASELINES)
    except LeftOut:
        comparison = None
    if comparison:
        _, subjects = comparison.scores.groups("dataset", "subject")
        numbers += [("test subjects", f"{len(subjects):,}"), ("tasks", f"{len(comparison.metrics):,}")]
        numbers += _scores(comparison)
    try:
        model, shares = relative(results)
    except LeftOut:
        return numbers
    mean = relative_mean(shares)
    if mean:
        smallest = min(mean)
        what = f"of its best score {model} reaches with N = {smallest}{_mean_of(len(shares))}"
        numbers.append((what, f"{mean[smallest]:.1%}"))
    return numbers


def cautions(results: Results) -> list[str]:
    """A line for each task in which a trivial predictor is as good as a trained model with a context."""
    try:
        comparison = results.comparison(BASELINES)
    except LeftOut:
        return []
    lines = []
    n = comparison.size
    for model in (model for model in comparison.models if not is_baseline(model)):
        for task in comparison.metrics:
            others = [
                (differences(comparison.means, model, other, n, comparison.metrics).get(task), other)
                for other in comparison.trivial
            ]
            known = [(found, other) for found, other in others if found is not None]
            if not known:
                continue
            least, other = min(known, key=lambda one: one[0].value)
            if least.interval[0] <= 0:
                verdict = "does not beat" if least.value <= 0 else "does not surely beat"
                shown = shown_estimate(least, comparison.metrics[task], signed=True)
                lines.append(f"{model} {verdict} “{other}” in {shown_task(task).lower()} at N = {n}: {shown}.")
    return lines


def _scores(comparison: Comparison) -> list[tuple[str, str]]:
    """Means over tasks, of what has not been trained on and of its differences to the others."""
    model, n, metrics = comparison.context_model, comparison.size, comparison.metrics
    if model is None:
        return []
    told: list[tuple[str, dict[str, Estimate], bool]] = [(f"{model}, N = {n}", comparison.at(model, n), False)]
    told += [
        (f"{first} minus {second}, N = {n}", differences(comparison.means, first, second, n, metrics), True)
        for first, second in ((SEEN, UNSEEN), (model, BASELINE))
    ]
    return [
        (
            f"{METRICS[metric]}: {what}{_mean_of(sum(metrics[task] == metric for task in of))}",
            shown_estimate(mean, metric, signed=signed),
        )
        for what, of, signed in told
        for metric, mean in metric_means(of, metrics).items()
    ]


def _mean_of(tasks: int) -> str:
    return f", mean of {tasks} tasks" if tasks > 1 else ""
