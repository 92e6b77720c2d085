"""How well the expected Dice of a predicted structure (`confidence`) tells its true Dice.

From the repository root, with label maps as `neuralizer prepare labelmaps --volumes` wrote them, the scans of the
MICCAI 2012 multi-atlas challenge, and the folder in which `predict_volumes.py` kept its rows:

    python benchmarks/trust.py --labelmaps data/labelmaps-volumes --scans MULTIATLAS --work FOLDER --processes 2

The coefficients are fitted to the real scans, and to bad cases: other contrasts, wrong alignments, no brains. What is
reported of a subject comes from coefficients of the others. FOLDER keeps the cases too: run again, it computes those
that are missing. Writes `neuralizer_jax/volumes/trust_coefficients.py`, and `trust.json` and `trust.md` to
`benchmarks/results`.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.stats import spearmanr

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from conditions import conditions, heading, typed, write_results  # noqa: E402
from kept_rows import add_options, kept_rows, of_code, rows_of  # noqa: E402
from trust_cases import measure, planned  # noqa: E402
from write_tables import table  # noqa: E402

from neuralizer_jax.files.label_table import LEAST_DICE  # noqa: E402
from neuralizer_jax.volumes.evidence import Evidence  # noqa: E402
from neuralizer_jax.volumes.trust import LEAST_LIKENESS, logit  # noqa: E402

SIGNS = tuple(Evidence.__dataclass_fields__)
# Cases are few: coefficients are drawn to one value by this penalty of the squared difference.
USUAL, PENALTY = 0.2, 0.03
# Columns of the tables.
NUMBERS = {
    "dice": "Dice",
    "expected": "expected",
    "spearman": "rank correlation",
    "within": "of the subjects of a structure",
    "error": "mean error",
}
SHARES = ("refused", "low", "unlike", "noted")


def fitted(rows):
    """Intercept and coefficients `[1 + signs]` of a logistic regression for the Dice, none of them negative."""
    rows = [row for row in rows if row["evidence"]["certainty"] > 0]
    signs = np.array([[logit(row["evidence"][name]) for name in SIGNS] for row in rows])
    dice = np.array([row["dice"] for row in rows])

    def loss(coefficients):
        total = coefficients[0] + signs @ coefficients[1:]
        return np.mean(np.logaddexp(0, total) - dice * total) + PENALTY * np.sum((coefficients[1:] - USUAL) ** 2)

    bounds = [(None, None)] + [(0, None)] * len(SIGNS)
    return minimize(loss, np.zeros(1 + len(SIGNS)), method="L-BFGS-B", bounds=bounds).x


def expected(row, coefficients):
    """The expected Dice of a row."""
    if not row["evidence"]["certainty"]:
        return 0.0
    signs = [logit(row["evidence"][name]) for name in SIGNS]
    return float(1 / (1 + np.exp(-coefficients[0] - np.dot(coefficients[1:], signs))))


def by_the_others(rows):
    """The rows with the Dice that is `expected` by coefficients of the other subjects."""
    found = []
    for subject in dict.fromkeys(row["subject"] for row in rows):
        coefficients = fitted([row for row in rows if row["subject"] != subject])
        found += [
            row | {"expected": expected(row, coefficients)} for row in rows if row["subject"] == subject
        ]  # fmt: skip
    return found


def flat(cases):
    """A row for each structure of cases."""
    common = ("kind", "subject", "condition", "examples")
    return [row | {key: case[key] for key in common} for case in cases for row in case.get("rows", ())]


def summary(rows, refused=0):
    """Rank correlation, mean absolute error, and shares that are noted, of rows; refused ones have no Dice."""
    dice, found = (np.array([row[key] for row in rows]) for key in ("dice", "expected"))
    unlike = np.array([row["evidence"]["likeness"] < LEAST_LIKENESS for row in rows], bool)
    count = len(rows) + refused
    return {
        "number": count,
        "dice": float(dice.mean()) if rows else None,
        "expected": float(found.mean()) if rows else None,
        "spearman": rank_correlation(rows),
        "within": within_structures(rows),
        "error": float(np.abs(dice - found).mean()) if rows else None,
        "refused": refused / count,
        "low": float((found < LEAST_DICE).sum() / count),
        "unlike": float(unlike.sum() / count),
        "noted": float((((found < LEAST_DICE) | unlike).sum() + refused) / count),
    }


def rank_correlation(rows):
    """The rank correlation of expected and true Dice; None if there are few rows."""
    dice, found = ([row[key] for row in rows] for key in ("dice", "expected"))
    return float(spearmanr(dice, found)[0]) if len(rows) > 5 and np.ptp(dice) and np.ptp(found) else None


def within_structures(rows):
    """The same over the subjects of a structure, mean over structures."""
    each = [
        rank_correlation([row for row in rows if row["label"] == label]) for label in {row["label"] for row in rows}
    ]
    known = [value for value in each if value is not None]
    return float(np.mean(known)) if known else None


def summaries(rows, cases, name):
    """The summary of each group of rows; `name` gives the group of a row or case."""
    groups, refused = {}, {}
    for row in rows:
        groups.setdefault(name(row), []).append(row)
    for case in cases:
        if "refused" in case:
            refused[name(case)] = refused.get(name(case), 0) + len(case["structures"])
    return {group: summary(groups.get(group, []), refused.get(group, 0)) for group in {**groups, **refused}}


def in_words(row):
    """The condition, with the number of examples of good cases."""
    return f"good, N = {row['examples']}" if row["condition"] == "good" else row["condition"]


def page(results):
    """The results as Markdown."""
    text = heading("Expected Dice of predicted structures", "trust.py", results)
    text += f"""
A structure is noted if its expected Dice is below {LEAST_DICE} (low), or target and examples resemble each other little
(unlike: below {LEAST_LIKENESS} of the examples among each other). A target can be refused: it cannot be aligned.
Shuffled and blobs are no brains: their true Dice is 0. What is expected of a subject comes from coefficients that were
fitted to the other subjects. Of {results["planned"]} bad cases and label maps {results["computed"]} were computed.
"""
    for title, found in results["summaries"].items():
        lines = [
            [
                name,
                its["number"],
                *("-" if its[key] is None else f"{its[key]:.2f}" for key in NUMBERS),
                *(f"{its[key]:.0%}" for key in SHARES),
            ]
            for name, its in found.items()
        ]
        text += f"\n{title}:\n\n" + table(["cases", "structures", *NUMBERS.values(), *SHARES], lines) + "\n"
    lines = [
        [name, f"{results['coefficients'][name]:.2f}", *(f"{its[name]:.2f}" for its in results["signs"].values())]
        for name in SIGNS
    ]
    text += "\nEach sign alone, rank correlation with the Dice:\n\n"
    return text + table(["sign", "coefficient", *results["signs"]], lines) + "\n"


def of_signs(rows):
    """Rank correlation of each sign with the Dice; 0 of one that is constant."""
    dice = [row["dice"] for row in rows]
    values = {name: [row["evidence"][name] for row in rows] for name in SIGNS}
    return {name: float(spearmanr(its, dice)[0]) if np.ptp(its) else 0.0 for name, its in values.items()}


def write_coefficients(intercept, coefficients):
    """Writes them where the package reads them."""
    lines = [f'    "{name}": {value:.3f},' for name, value in coefficients.items()]
    text = f'''"""Coefficients of the expected Dice, written by `benchmarks/trust.py`."""

INTERCEPT = {intercept:.3f}
COEFFICIENTS = {{
{chr(10).join(lines)}
}}
'''
    (ROOT / "neuralizer_jax/volumes/trust_coefficients.py").write_text(text)


def main():
    """Computes missing cases, fits, and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labelmaps", type=Path, required=True)
    parser.add_argument("--scans", type=Path, required=True)
    add_options(parser)
    options = parser.parse_args()
    results = conditions(typed("trust.py"), ["jax", "numpy", "scipy"])
    good = [
        row | {"kind": "scans", "condition": "good"}
        for row in kept_rows(options.work / "predict_volumes.jsonl")
        if (row["weights"], row["code"]) == (options.weights, of_code(options.weights))
    ]
    if not good:
        raise SystemExit(
            f"{options.work}/predict_volumes.jsonl: has no rows of this code, run predict_volumes.py first"
        )
    wanted = [*planned("labelmaps", options.labelmaps, options.weights),
              *planned("scans", options.scans, options.weights)]  # fmt: skip
    bad = []
    for case in rows_of(wanted, measure, options.work / "trust.jsonl", options.processes, options.only_kept):
        bad.append(case)
        dice = [round(row["dice"], 2) for row in case.get("rows", ())]
        print(case["kind"], case["subject"], in_words(case), case.get("refused", dice), flush=True)
    cases = sorted([*good, *bad], key=in_words)
    rows = by_the_others(flat(cases))
    intercept, *coefficients = fitted(rows).tolist()
    scans, maps = ([row for row in rows if row["kind"] == kind] for kind in ("scans", "labelmaps"))
    good_scans = [row for row in scans if row["condition"] == "good"]
    results |= {
        "summaries": {
            "Real scans": summaries(scans, [case for case in cases if case["kind"] == "scans"], in_words),
            "Label maps": summaries(maps, [case for case in cases if case["kind"] == "labelmaps"], in_words),
            "All": summaries(rows, cases, lambda row: {"scans": "real scans", "labelmaps": "label maps"}[row["kind"]]),
        },
        "planned": len(wanted),
        "computed": len(bad),
        "intercept": intercept,
        "coefficients": dict(zip(SIGNS, coefficients, strict=True)),
        "signs": {"good scans": of_signs(good_scans), "scans": of_signs(scans), "label maps": of_signs(maps)},
    }
    write_coefficients(intercept, results["coefficients"])
    write_results("trust", results, page(results))


if __name__ == "__main__":
    main()
