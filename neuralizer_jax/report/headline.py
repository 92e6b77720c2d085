"""The numbers at the top of a report, and the cautions below them."""

from neuralizer_jax.evaluation.scores import Kind
from neuralizer_jax.report.comparison import Comparison, metric_means
from neuralizer_jax.report.figures import relative_mean
from neuralizer_jax.report.items import BASELINES, relative
from neuralizer_jax.report.results import VOLUMES, LeftOut, Results
from neuralizer_jax.report.shown_names import BASELINE, METRICS, SEEN, UNSEEN, shown_size, shown_task
from neuralizer_jax.report.statistics import Estimate
from neuralizer_jax.report.tables import shown_estimate


def headline(results: Results) -> list[tuple[str, str]]:
    """The paper's claims in the numbers of these results: pairs of what and how much."""
    numbers = []
    if comparison := _comparison(results):
        subjects = len(comparison.scores[["dataset", "subject"]].drop_duplicates())
        numbers += [("test subjects", f"{subjects:,}"), ("tasks", f"{len(comparison.metrics):,}")]
        numbers += _scores(comparison)
    try:
        model, shares = relative(results)
    except LeftOut:
        return numbers
    if mean := relative_mean(shares):
        smallest = min(mean)
        what = f"of its best score {model} reaches with N = {shown_size(smallest)}{_mean_of(len(shares))}"
        numbers.append((what, f"{mean[smallest]:.1%}"))
    return numbers


def cautions(results: Results) -> list[str]:
    """A line for each in-context model and task in which an untrained baseline is as good."""
    if not (comparison := _comparison(results)):
        return []
    lines = []
    n, metrics = comparison.size, comparison.metrics
    for model in comparison.of_kind(Kind.IN_CONTEXT):
        leads = {other: comparison.differences(model, other, n) for other in comparison.of_kind(Kind.UNTRAINED)}
        for task in metrics:
            known = [(lead[task], other) for other, lead in leads.items() if task in lead]
            if not known:
                continue
            least, other = min(known, key=lambda one: one[0].value)
            if least.interval[0] <= 0:
                verdict = "does not beat" if least.value <= 0 else "does not surely beat"
                shown = shown_estimate(least, metrics[task], signed=True)
                where = f"in {shown_task(task).lower()} at N = {shown_size(n)}"
                lines.append(f"{model} {verdict} “{other}” {where}: {shown}.")
    return lines


def _comparison(results: Results) -> Comparison | None:
    try:
        return results.comparison(BASELINES, VOLUMES)
    except LeftOut:
        return None


def _scores(comparison: Comparison) -> list[tuple[str, str]]:
    """Means over tasks of the model that has not seen them, and differences to the other models."""
    model, n, metrics = comparison.context_model, comparison.size, comparison.metrics
    if model is None:
        return []
    told: list[tuple[str, dict[str, Estimate], bool]] = [(model, comparison.at(model, n), False)]
    told += [
        (f"{first} minus {second}", comparison.differences(first, second, n), True)
        for first, second in ((SEEN, UNSEEN), (model, BASELINE))
    ]
    return [
        (
            f"{METRICS[metric]}: {what}, N = {shown_size(n)}{_mean_of(sum(metrics[task] == metric for task in of))}",
            shown_estimate(mean, metric, signed=signed),
        )
        for what, of, signed in told
        for metric, mean in metric_means(of, metrics).items()
    ]


def _mean_of(tasks: int) -> str:
    return f", mean of {tasks} tasks" if tasks > 1 else ""
