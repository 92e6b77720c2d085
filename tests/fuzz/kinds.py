"""The kinds of cases, and how a seed draws one."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from fuzz import labelmap_cases, other_files, predict_cases, predict_oracle
from fuzz.outcome import FAULT, Verdict

Kind = Callable[[Path, np.random.Generator], list[Verdict]]


def _stored(folder: Path, rng: np.random.Generator) -> list[Verdict]:
    case = predict_cases.draw(rng)
    if rng.uniform() < 0.2:
        predict_cases.as_image_task(case, rng)
    return [_with_case(case, predict_oracle.judge(case, folder))]


def _spoilt(folder: Path, rng: np.random.Generator) -> list[Verdict]:
    case = predict_cases.draw(rng)
    while case.may:
        case = predict_cases.draw(rng)
    return [_with_case(case, predict_oracle.judge_spoilt(case, folder, rng))]


def _damaged(folder: Path, rng: np.random.Generator) -> list[Verdict]:
    case = predict_cases.draw(rng)
    return [_with_case(case, predict_oracle.judge_damaged(case, folder, rng))]


def _with_case(case: predict_cases.Case, verdict: Verdict) -> Verdict:
    return Verdict(verdict.name, f"{verdict.detail}\n{case}" if verdict.name == FAULT else verdict.detail)


# What each kind is, how often a seed draws it, and the kind.
KINDS: dict[str, tuple[str, float, Kind]] = {
    "stored": ("`predict` on files stored in other ways", 0.66, _stored),
    "spoilt": ("`predict` with one file that is something else", 0.1, _spoilt),
    "damaged": ("`predict` with changed bytes in one file", 0.16, _damaged),
    "weights": ("weights with changed bytes, description or tensors", 0.03, lambda *a: [other_files.judge_weights(*a)]),
    "names": ("label names with changed bytes", 0.02, lambda *a: [other_files.judge_label_names(*a)]),
    "scores": ("`report` on results with changed bytes", 0.01, lambda *a: [other_files.judge_scores(*a)]),
    "labelmaps": ("`prepare labelmaps`, eight maps a case", 0.006, labelmap_cases.judge),
}


def run_case(seed: int, kind: str | None = None) -> tuple[str, list[Verdict]]:
    """Draws and runs the case of a seed, of a drawn kind by default.

    Returns the kind and the verdicts: one for each map of `labelmaps`, otherwise one.
    """
    rng = np.random.default_rng(seed)
    if kind is None:
        shares = np.array([share for _, share, _ in KINDS.values()])
        kind = str(rng.choice(list(KINDS), p=shares / shares.sum()))
    with TemporaryDirectory() as folder:
        verdicts = KINDS[kind][2](Path(folder), rng)
        return kind, [Verdict(verdict.name, verdict.detail.replace(folder, "")) for verdict in verdicts]
