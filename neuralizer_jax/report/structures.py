"""Whole scans in the report: scores by structure, Dice by number of examples, Dice along a structure."""

from collections.abc import Mapping, Sequence

import pandas as pd

from neuralizer_jax.evaluation.scores import TENTHS, Kind
from neuralizer_jax.report.results import VOLUMES, LeftOut, Results
from neuralizer_jax.report.shown_names import METRICS, models_in_order, shown_size
from neuralizer_jax.report.statistics import Estimate, Key, compared, mean_of, mean_within, task_means
from neuralizer_jax.report.table_formats import NOTHING, Cell, Table
from neuralizer_jax.report.tables import best_text, natural_key, shown_estimate

_METRICS = ("dice", "hd95", "volume_error")
_OVER_SCANS = "Means over scans, 95 % bootstrap intervals over scans in brackets; best in bold."

# A Dice that is as good as this is expected of most structures.
_GOOD = 0.8

# Model and size, then the estimate of each structure.
Estimates = dict[tuple[str, float], dict[str, Estimate]]


def whole_scans(results: Results) -> pd.DataFrame:
    """The scores of whole scans. Raises LeftOut if there are none."""
    scores = results.scores[(results.scores["experiment"] == VOLUMES) & (results.scores["plane"] == "volume")]
    if scores.empty:
        raise LeftOut(f"scores.csv has no {VOLUMES}")
    return scores


def structure_means(scores: pd.DataFrame, class_names: Mapping[str, str]) -> dict[Key, float]:
    """The mean Dice of each model, structure and number of examples."""
    found = _estimates(scores, "dice", class_names)
    return {(model, its, size): mean.value for (model, size), of in found.items() for its, mean in of.items()}


def structure_cases(scores: pd.DataFrame, class_names: Mapping[str, str]) -> tuple[float, pd.DataFrame]:
    """Each structure in each scan, at the largest number of examples that all models have.

    Returns:
        That number, and a table with the columns `model`, `kind`, `structure`, `dataset`, `subject`, `dice`,
        `found_mm3` and `true_mm3` (NaN where the scores do not have it), structures in order.

    Raises:
        LeftOut: the models have no number of examples in common.
    """
    size = _largest_size(scores)
    each = ["model", "kind", "class", "dataset", "subject"]
    cases = scores[scores["size"] == size].pivot_table(index=each, columns="metric", values="value").reset_index()
    cases = cases.reindex(columns=[*each, "dice", "volume_bias", "true_mm3"])
    cases["structure"] = [class_names.get(name, name) for name in cases["class"]]
    cases["found_mm3"] = cases["true_mm3"] * (1 + cases["volume_bias"] / 100)
    return size, cases.sort_values("structure", key=lambda names: names.map(natural_key), ignore_index=True)


def structures_table(name: str, scores: pd.DataFrame, class_names: Mapping[str, str]) -> Table:
    """A part for each metric, a row for each structure and their mean, a column for each model; the best is bold.

    Raises:
        LeftOut: the models have no number of examples in common.
    """
    models, size = models_with_context_first(scores), _largest_size(scores)
    caption = (
        f"Whole scans, each segmented from N = {shown_size(size)} others: Dice in 3-D, 95th percentile of the surface"
        f" distance, volume error without its sign in percent of the true volume. {_OVER_SCANS}"
    )
    missing = scores[(scores["metric"] == "hd95") & (scores["size"] == size) & scores["value"].isna()]
    if counts := [f"{count} of {model}" for model, count in missing["model"].value_counts().items()]:
        caption += f" The distance leaves out for all models what one did not find: {', '.join(counts)}."
    parts = []
    for metric in _METRICS:
        found = _estimates(scores, metric, class_names)
        columns = [found.get((model, size), {}) for model in models]
        structures = sorted({structure for column in columns for structure in column}, key=natural_key)
        rows = [
            (f"{structure}, {METRICS[metric]}", [column.get(structure) for column in columns])
            for structure in structures
        ]
        if len(structures) > 1:
            means = [mean_of(column.values()) if len(column) == len(structures) else None for column in columns]
            rows.append((f"Mean of {len(structures)} structures, {METRICS[metric]}", means))
        parts.append(tuple((Cell(text), *_cells(estimates, metric)) for text, estimates in rows))
    return Table(name, caption, ("Structure", *models), tuple(part for part in parts if part))


def numbers_table(name: str, scores: pd.DataFrame, class_names: Mapping[str, str]) -> Table:
    """Mean Dice of the structures that are there at each N: a row for each N, a column for each model.

    Raises:
        LeftOut: there is no such structure.
    """
    found = _estimates(scores, "dice", class_names)
    shared = set.intersection(*map(set, found.values())) if found else set()
    if not shared:
        raise LeftOut("no structure is there at each N")
    caption = f"Whole scans: mean Dice of {len(shared)} structures by the number of examples N. {_OVER_SCANS}"
    models, sizes = models_with_context_first(scores), sorted({size for _, size in found})
    rows = []
    for size in sizes:
        estimates = [
            mean_of(found[model, size][its] for its in sorted(shared)) if (model, size) in found else None
            for model in models
        ]
        rows.append((Cell(f"N = {shown_size(size)}"), *_cells(estimates, "dice")))
    return Table(name, caption, ("Examples", *models), (tuple(rows),))


def ends_table(name: str, scores: pd.DataFrame, class_names: Mapping[str, str]) -> Table:
    """Dice in each tenth of the structures' lengths: a part for each in-context model, a row for each structure.

    Raises:
        LeftOut: there is no in-context model.
    """
    size = _largest_size(scores)
    caption = (
        f"Whole scans: Dice in each tenth of a structure's length along y of MNI152, N = {shown_size(size)}. What was"
        " found beyond an end counts in the last tenth. Means over scans."
    )
    scores = scores[(scores["kind"] == Kind.IN_CONTEXT) & (scores["size"] == size) & scores["metric"].isin(TENTHS)]
    means = mean_within(scores[scores["value"].notna()], "model", "class", "metric")
    means["class"] = [class_names.get(name, name) for name in means["class"]]
    parts = []
    for model in models_in_order(means["model"]):
        table = means[means["model"] == model].pivot(index="class", columns="metric", values="value")
        table = table.reindex(sorted(table.index, key=natural_key), columns=list(TENTHS))
        if len(table) > 1:
            table.loc[f"Mean of {len(table)} structures"] = table.mean()
        parts.append(
            tuple(
                (Cell(f"{model}: {structure}"), *(Cell(f"{value:.2f}") if value == value else NOTHING for value in row))
                for structure, *row in table.itertuples(name=None)
            )
        )
    if not parts:
        raise LeftOut("no Dice along structures of an in-context model")
    head = ("Structure", "1 (posterior)", *(str(tenth) for tenth in range(2, 10)), "10 (anterior)")
    return Table(name, caption, head, tuple(parts))


def trust_table(name: str, scores: pd.DataFrame, class_names: Mapping[str, str]) -> Table:
    """How well the Dice that a model expects of a structure tells its Dice: a row for each model and N.

    Raises:
        LeftOut: no model expects any.
    """
    caption = (
        "Whole scans: the Dice that a model expects of a structure in a scan, beside its Dice. Spearman's rank"
        " correlation over scans and structures, mean difference without its sign, and the lowest Dice of those that it"
        f" expects to be at least {_GOOD}."
    )
    each = ["model", "size", "class", "dataset", "subject"]
    pairs = scores.pivot_table(index=each, columns="metric", values="value").reset_index()
    if "expected_dice" not in pairs:
        raise LeftOut("no model expects a Dice")
    rows = []
    for (model, size), its in pairs.dropna(subset="expected_dice").groupby(["model", "size"]):
        expected, dice = its["expected_dice"], its["dice"]
        good = dice[expected >= _GOOD]
        rows.append(
            (
                Cell(f"{model}, N = {shown_size(float(str(size)))}"),
                Cell(f"{len(its)}"),
                Cell(f"{expected.corr(dice, method='spearman'):.2f}")
                if dice.nunique() > 1 < expected.nunique()
                else NOTHING,
                Cell(f"{(expected - dice).abs().mean():.3f}"),
                Cell(f"{good.min():.3f}") if len(good) else NOTHING,
            )
        )
    head = ("Model", "Structures of scans", "Rank correlation", "Mean difference", "Lowest Dice")
    return Table(name, caption, head, (tuple(rows),))


def _estimates(scores: pd.DataFrame, metric: str, class_names: Mapping[str, str]) -> Estimates:
    """The mean of each structure by its name, on the scans that all models have; all of them are paired."""
    scores = compared(scores[scores["metric"] == metric])
    scores = scores.assign(task=[class_names.get(name, name) for name in scores["class"]])
    found: Estimates = {}
    for (model, structure, size), estimate in task_means(scores).items():
        found.setdefault((model, size), {})[structure] = estimate
    return found


def models_with_context_first(scores: pd.DataFrame) -> list[str]:
    """All models in order: those with a context, then untrained ones."""
    kinds = (scores["kind"] == Kind.IN_CONTEXT, scores["kind"] == Kind.UNTRAINED)
    return [model for of_kind in kinds for model in models_in_order(scores.loc[of_kind, "model"])]


def _largest_size(scores: pd.DataFrame) -> float:
    """The largest number of examples that all models have. Raises LeftOut if they have none in common."""
    common = set.intersection(*(set(rows["size"]) for _, rows in scores.groupby("model")))
    if not common:
        raise LeftOut("the models have no N in common")
    return max(common)


def _cells(estimates: Sequence[Estimate | None], metric: str) -> list[Cell]:
    texts = [shown_estimate(found, metric, interval=False) if found else None for found in estimates]
    best = best_text(texts, metric)
    return [
        Cell(shown_estimate(found, metric), text == best) if found else NOTHING
        for found, text in zip(estimates, texts, strict=True)
    ]
