"""A folder of results: scores, and what else an evaluation left beside them."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from neuralizer_jax.evaluation.records import Record, read_records
from neuralizer_jax.evaluation.scores import read_scores
from neuralizer_jax.report.comparison import Comparison, compare

# The experiment of whole scans in the table of scores.
VOLUMES = "volumes"


class LeftOut(Exception):
    """A part of a report cannot be made from the results; the message gives the reason in a few words."""


@dataclass(frozen=True, eq=False)
class Results:
    """What a report is made from: the scores, SHA-256 of their file, and the content of the other files.

    Without `models.json`, `models` is None; without `runtime.json`, `runtime` is empty.
    """

    scores: pd.DataFrame
    sha256: str
    models: list[Record] | None
    runtime: list[Record]
    examples: tuple[Path, ...]
    _comparisons: dict[str, Comparison] = field(default_factory=dict, init=False)

    def of(self, *experiments: str) -> tuple[str, pd.DataFrame]:
        """Name and scores of the first of some experiments that exists, or else of the only experiment.

        Whole scans have parts of their own in a report, so they stand for no other experiment.

        Raises:
            LeftOut: if none of them exists.
        """
        there = sorted(self.scores["experiment"].unique())
        only = there[0] if len(there) == 1 and there != [VOLUMES] else None
        chosen = next((name for name in experiments if name in there), only)
        if chosen is None:
            raise LeftOut(f"scores.csv has no {' or '.join(experiments)}, only {', '.join(there)}")
        return chosen, self.scores[self.scores["experiment"] == chosen]

    def comparison(self, *experiments: str) -> Comparison:
        """The comparison of an experiment, see `of`.

        Raises:
            LeftOut: if none of them exists, or its models have no scores in common.
        """
        name, scores = self.of(*experiments)
        if name not in self._comparisons:
            self._comparisons[name] = compare(scores)
        comparison = self._comparisons[name]
        if not comparison.models:
            raise LeftOut(f"the models of {name} have no Dice or PSNR of the same subjects and contexts")
        return comparison


def read_results(folder: Path) -> Results:
    """Reads a folder: `scores.csv`, and if they exist `models.json`, `runtime.json` and `examples/*.npz`.

    Raises:
        InputError: if `scores.csv` is missing, or a file is damaged.
    """
    path = folder / "scores.csv"
    scores = read_scores(path)
    return Results(
        scores,
        hashlib.sha256(path.read_bytes()).hexdigest(),
        read_records(folder / "models.json"),
        read_records(folder / "runtime.json") or [],
        tuple(sorted((folder / "examples").glob("*.npz"))),
    )
