"""The model card of a weights file: Markdown with numbers from the trainings and evaluations that are behind it.

The text is a Jinja2 template, `templates/card.md.j2` or one that extends it and fills its blocks. Numbers come from
files alone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuralizer_jax.errors import InputError
from neuralizer_jax.evaluation.scores import Kind
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.report.expected import Expected, expected_figure, expected_scores, expected_table
from neuralizer_jax.report.figure_style import save_figure
from neuralizer_jax.report.items import BASELINES, PLANES, PROTOCOL
from neuralizer_jax.report.planes import planes_table
from neuralizer_jax.report.results import LeftOut, Results, read_results
from neuralizer_jax.report.shown_names import SEEN
from neuralizer_jax.report.table_formats import Table, markdown
from neuralizer_jax.report.trainings import data_table, read_training, settings_table, stages_table, versions

# Headings of the experiments that the report knows too.
_HEADINGS = {BASELINES: "Tasks", PROTOCOL: "All structures of the slice", PLANES: "Planes and positions"}

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Section:
    """Scores of an evaluation: heading, a table in Markdown, and the commands that made them."""

    title: str
    table: str
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Scored:
    """A folder of scores: its title, its sections, and the numbers of each section by heading, for templates."""

    title: str
    sections: tuple[Section, ...]
    expected: Mapping[str, Mapping[str, Expected]]


def write_card(
    path: Path,
    weights: Mapping[str, Any],
    scores: Mapping[str, Path],
    trainings: Sequence[Path],
    *,
    template: Path | None = None,
    defaults: Mapping[str, Any] | None = None,
    class_names: Mapping[str, str] | None = None,
    curves: str = "",
) -> list[Path]:
    """Writes a card, and beside it the figure `NAME_expected.png`, what to expect at each context size.

    Args:
        path: of the card, ending in `.md`.
        weights: `name`, `file`, `sha256`, `bytes`, `parameters` and `network`; the template shows them.
        scores: folders of `neuralizer evaluate`, by title.
        trainings: folders of runs, in their order.
        template: a Jinja2 file; None: the card alone.
        defaults: default configuration of a training by key; other values are listed.
        class_names: names of classes.
        curves: file name of a picture of the curves of the trainings, beside the card; empty: none.

    Returns:
        The files written.

    Raises:
        InputError: a folder has no score of these weights, a file is missing or damaged, or the template fails.
    """
    runs = [read_training(folder) for folder in trainings]
    scored = [_scored(title, folder, weights["sha256"], class_names or {}) for title, folder in scores.items()]
    parts = {its.title: found for its in scored if (found := its.expected.get(_HEADINGS[BASELINES]))}
    written = []
    if parts:
        written = save_figure(expected_figure(parts), path.parent, f"{path.stem}_expected", (".png",))
    tables = (stages_table(runs), settings_table(runs, defaults or {}), data_table(runs)) if runs else ()
    text = _rendered(
        template or _TEMPLATES / "card.md.j2",
        weights=weights,
        scores=scored,
        figure=written[0].name if written else "",
        curves=curves,
        versions=versions(runs),
        **{table.name: _bare(table) for table in tables},
    )
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return [path, *written]


def _scored(title: str, folder: Path, sha256: str, class_names: Mapping[str, str]) -> Scored:
    results = read_results(folder)
    own = [record for record in results.models or () if record.get("sha256") == sha256]
    if not own:
        raise InputError(f"{folder}: models.json has no score of these weights (SHA-256 {sha256[:16]}...)")
    sections, expected = [], {}
    for experiment, model in dict.fromkeys((str(its["experiment"]), str(its["model"])) for its in own):
        made_by = [str(its["command"]) for its in own if (its["experiment"], its["model"]) == (experiment, model)]
        scores = results.scores[results.scores["experiment"] == experiment]
        if experiment == PLANES:
            sections.append(Section(_HEADINGS[PLANES], _planes(results), tuple(made_by)))
            continue
        if found := expected_scores(_beside_untrained(scores, model), model, class_names):
            heading = _heading(experiment, model)
            expected[heading] = found
            sections.append(Section(heading, _bare(expected_table(experiment, "", found)), tuple(made_by)))
    return Scored(title, tuple(sections), expected)


def _beside_untrained(scores, model: str):
    """The scores of a model and of the untrained baselines: other models do not decide what is compared."""
    return scores[(scores["model"] == model) | (scores["kind"] == Kind.UNTRAINED)]


def _planes(results: Results) -> str:
    try:
        return _bare(planes_table(PLANES, "", results.comparison(PLANES)))
    except LeftOut as reason:
        raise InputError(f"{PLANES}: {reason}") from None


def _heading(experiment: str, model: str) -> str:
    heading = _HEADINGS.get(experiment, experiment.replace("_", " ").capitalize())
    return heading if model == SEEN else f"{heading}: {model.lower()}"


def _bare(table: Table) -> str:
    """A table in Markdown without its caption."""
    return markdown(table).split("\n\n", 1)[1].strip()


def _rendered(template: Path, **values: Any) -> str:
    from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        loader=FileSystemLoader(_TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    try:
        text = environment.from_string(template.read_text(encoding="utf-8")).render(**values)
    except (TemplateError, OSError, TypeError, ValueError) as error:
        raise InputError(f"{template}: {error}, expected a template of a card") from None
    # Blocks that are empty leave blank lines.
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
