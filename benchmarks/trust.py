"""How well the expected Dice of a predicted structure (`confidence`) tells its true Dice.

From the repository root, with label maps as `neuralizer prepare labelmaps --volumes` wrote them and the scans of the
MICCAI 2012 multi-atlas challenge:

    python benchmarks/trust.py --labelmaps data/labelmaps-volumes --scans MULTIATLAS --work FOLDER

Synthesised scans of the label maps, good and bad, give the coefficients of `neuralizer_jax/volumes/trust.py`, which are
printed. The real scans are only reported. Cases are kept in FOLDER: run again, it computes those that are missing.
Writes `trust.json` and `trust.md` to `benchmarks/results`.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.stats import spearmanr

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from conditions import conditions, heading, write_results  # noqa: E402
from trust_cases import PLAN, rows_of  # noqa: E402
from write_tables import table  # noqa: E402

from neuralizer_jax import use_compilation_cache  # noqa: E402
from neuralizer_jax.volumes.evidence import Evidence  # noqa: E402
from neuralizer_jax.volumes.trust import LEAST_DICE, LEAST_LIKENESS, expected_dice, logit  # noqa: E402

SIGNS = tuple(Evidence.__dataclass_fields__)
# Cases are few: coefficients are drawn to one value by this penalty of the squared difference.
USUAL, PENALTY = 0.2, 0.3


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


def expected(row, coefficients=None):
    """The expected Dice of a row: by the coefficients of the package, or by others."""
    if coefficients is None or not row["evidence"]["certainty"]:
        return expected_dice(Evidence(**row["evidence"]))
    total = coefficients[0] + sum(
        factor * logit(row["evidence"][name]) for factor, name in zip(coefficients[1:], SIGNS, strict=True)
    )
    return float(1 / (1 + np.exp(-total)))


def without_the_subject(rows):
    """The expected Dice of each row by coefficients of the other subjects' rows."""
    others = {s: fitted([row for row in rows if row["subject"] != s]) for s in {row["subject"] for row in rows}}
    return [expected(row, others[row["subject"]]) for row in rows]


def summary(rows, found):
    """Rank correlation, mean absolute error and shares that are noted, of rows with these expected Dice."""
    dice, found = np.array([row["dice"] for row in rows]), np.array(found)
    unlike = np.array([row["evidence"]["likeness"] < LEAST_LIKENESS for row in rows])
    return {
        "cases": len(rows),
        "dice": float(dice.mean()),
        "expected": float(found.mean()),
        "spearman": float(spearmanr(dice, found)[0]) if len(rows) > 5 else None,
        "error": float(np.abs(dice - found).mean()),
        "low": float((found < LEAST_DICE).mean()),
        "unlike": float(unlike.mean()),
        "noted": float(((found < LEAST_DICE) | unlike).mean()),
    }


def summaries(rows, found):
    """The summary of all rows, of the good ones, and of each condition and number of examples."""
    groups = {"all": rows, "good": [row for row in rows if row["condition"] == "good"]}
    for row in rows:
        name = row["condition"]
        groups.setdefault(f"{name}, N = {row['examples']}" if name == "good" else name, []).append(row)
    of = {id(row): value for row, value in zip(rows, found, strict=True)}
    return {name: summary(group, [of[id(row)] for row in group]) for name, group in groups.items()}


def page(results):
    """The results as Markdown."""
    text = heading("Expected Dice of predicted structures", "trust.py", results)
    text += f"""
A structure is noted if its expected Dice is below {LEAST_DICE}, or target and examples resemble each other little
(below {LEAST_LIKENESS} of the examples among each other). Shuffled, blobs and upside down are no brains: their true
Dice is 0. From one or two examples a structure is predicted once, from more also after realignment. Of
{results["planned"]} cases {results["computed"]} were computed: more time gives better coefficients.
"""
    for title, found in results["summaries"].items():
        lines = [
            [
                name,
                its["cases"],
                f"{its['dice']:.2f}",
                f"{its['expected']:.2f}",
                "-" if its["spearman"] is None else f"{its['spearman']:.2f}",
                f"{its['error']:.2f}",
                *(f"{its[key]:.0%}" for key in ("low", "unlike", "noted")),
            ]
            for name, its in found.items()
        ]
        text += f"\n{title}:\n\n" + table(
            ["cases", "number", "Dice", "expected", "rank correlation", "mean error", "low", "unlike", "noted"], lines
        ) + "\n"  # fmt: skip
    lines = [
        [name, f"{results['coefficients'][name]:.2f}", *(f"{its[name]:.2f}" for its in results["signs"].values())]
        for name in SIGNS
    ]
    text += "\nEach sign alone, rank correlation with the Dice:\n\n"
    text += table(["sign", "coefficient", *results["signs"]], lines)
    text += (
        f"\n\nFrom eight examples, the evidence takes {results['share_of_time']:.0%} of the time of the prediction.\n"
    )
    return text


def of_signs(rows):
    """Rank correlation of each sign with the Dice."""
    dice = [row["dice"] for row in rows]
    return {name: float(spearmanr([row["evidence"][name] for row in rows], dice)[0]) for name in SIGNS}


def main():
    """Computes missing cases, fits, and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labelmaps", type=Path, required=True)
    parser.add_argument("--scans", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=1e9, help="for the cases of each kind; default: all of them")
    options = parser.parse_args()
    command = "python benchmarks/trust.py --labelmaps data/labelmaps-volumes --scans MULTIATLAS --work FOLDER"
    results = conditions(command, ["jax", "numpy", "scipy"])
    use_compilation_cache()
    maps = rows_of("labelmaps", options.labelmaps, options.work, options.minutes)
    scans = rows_of("scans", options.scans, options.work, options.minutes)
    intercept, *coefficients = fitted(maps).tolist()
    print("intercept", round(intercept, 2), dict(zip(SIGNS, np.round(coefficients, 2).tolist(), strict=True)))
    seconds = np.array([row["seconds"] for row in [*maps, *scans] if row["examples"] == 8])
    results |= {
        "summaries": {
            "Real scans, by the coefficients of the package (from label maps)": summaries(scans, map(expected, scans)),
            "Label maps, by coefficients of the other subjects": summaries(maps, without_the_subject(maps)),
        },
        "planned": sum(count for plan in PLAN.values() for *_, count in plan),
        "computed": len(maps) + len(scans),
        "intercept": intercept,
        "coefficients": dict(zip(SIGNS, coefficients, strict=True)),
        "signs": {
            "scans": of_signs(scans),
            "good scans": of_signs([row for row in scans if row["condition"] == "good"]),
            "label maps": of_signs(maps),
        },
        "share_of_time": float(seconds[:, 1].sum() / seconds[:, 0].sum()),
    }
    write_results("trust", results, page(results))


if __name__ == "__main__":
    main()
