"""A folder of results: scores, and what else an evaluation left beside them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuralizer_jax.errors import InputError
from neuralizer_jax.evaluation.scores import Scores, read_scores
from neuralizer_jax.report.comparison import Comparison, compare

Record = Mapping[str, Any]


class LeftOut(Exception):
    """A part of a report cannot be made of the results there are; the message says why, in a few words."""


@dataclass(frozen=True, eq=False)
class Results:
    """What a report is made of.

    Attributes:
        scores: of `scores.csv`.
        sha256: of that file.
        models: of `models.json`; None where there is none.
        runtime: of `runtime.json`, empty where there is none.
        examples: files, by name.
    """

    scores: Scores
    sha256: str
    models: tuple[Record, ...] | None
    runtime: tuple[Record, ...]
    examples: tuple[Path, ...]
    _comparisons: dict[str, Comparison] = field(default_factory=dict, init=False)

    def trivial(self) -> set[str]:
        """Models that have learned nothing: those of which `models.json` knows no weights; none where it is missing."""
        if self.models is None:
            return set()
        trained = {str(record.get("model")) for record in self.models if record.get("sha256")}
        return set(self.scores.unique("model")) - trained

    def of(self, *experiments: str) -> tuple[str, Scores]:
        """The first of some experiments that there is, or where there is one alone that one: its name, its scores.

        Raises:
            LeftOut: where there is none of them.
        """
        there = self.scores.unique("experiment")
        chosen = next((name for name in experiments if name in there), there[0] if len(there) == 1 else None)
        if chosen is None:
            raise LeftOut(f"scores.csv has no {' or '.join(experiments)}, only {', '.join(there)}")
        return chosen, self.scores.where(experiment=chosen)

    def comparison(self, *experiments: str) -> Comparison:
        """The comparison of an experiment, of `of`.

        Raises:
            LeftOut: where there is none of them, or no score that its models share.
        """
        name, scores = self.of(*experiments)
        if name not in self._comparisons:
            self._comparisons[name] = compare(scores, self.trivial())
        comparison = self._comparisons[name]
        if not comparison.models:
            raise LeftOut(f"the models of {name} have no Dice or PSNR of the same subjects and contexts")
        return comparison


def read_results(folder: Path) -> Results:
    """Reads a folder: `scores.csv`, and where they exist `models.json`, `runtime.json` and `examples/*.npz`.

    Raises:
        InputError: no or a damaged `scores.csv`, or another file that is damaged.
    """
    path = folder / "scores.csv"
    scores = read_scores(path)
    models = _records(folder / "models.json")
    return Results(
        scores,
        hashlib.sha256(path.read_bytes()).hexdigest(),
        models,
        _records(folder / "runtime.json") or (),
        tuple(sorted((folder / "examples").glob("*.npz"))),
    )


def _records(path: Path) -> tuple[Record, ...] | None:
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}), expected a list of records in JSON") from None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise InputError(f"{path}: is no list of records, expected one record a model")
    return tuple(records)
