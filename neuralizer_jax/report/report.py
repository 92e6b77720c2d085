"""The report on a folder of results: figures, tables and a page, made from its scores."""

import json
import math
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from neuralizer_jax.errors import InputError
from neuralizer_jax.evaluation.scores import HEADER
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.report.figure_style import save_figure
from neuralizer_jax.report.headline import cautions, headline
from neuralizer_jax.report.item import Item
from neuralizer_jax.report.items import MODALITIES, SIZES, report_items
from neuralizer_jax.report.page import Block, Picture, write_page
from neuralizer_jax.report.qualitative import draw_examples
from neuralizer_jax.report.results import Results, read_results
from neuralizer_jax.report.table_formats import Cell, Table, latex, markdown

# CSS pixels per inch: figures are shown larger than they are printed.
_INCH = 130


def write_report(folder: Path, out: Path, class_names: Mapping[str, str] | None = None) -> tuple[list[Path], list[str]]:
    """Writes the report on a folder of results. The same results give the same bytes.

    Args:
        folder: with `scores.csv`, and optionally `models.json`, `runtime.json`, `examples/*.npz`.
        out: folder to write to, created if missing: figures as PNG and SVG, tables as Markdown and LaTeX, qualitative
            grids, `index.html`, and `scores.json`, the columns of the table of scores.
        class_names: names of classes, by labels like `freesurfer:17`; others keep their label.

    Returns:
        The files written, and a line with the reason for each part that could not be made.

    Raises:
        InputError: if results are missing or damaged, or files cannot be written.
    """
    class_names = class_names or {}
    results = read_results(folder)
    items, left_out = report_items(results, class_names)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be made ({error.strerror})") from None
    written: list[Path] = []
    parts: dict[str, list[Block]] = {}
    for item in items:
        files, shown = _written(item, out)
        written += files
        # A figure and a table of the same numbers share a heading.
        blocks = parts.setdefault(item.title, [])
        blocks += [shown] if item.caption in blocks else [item.caption, shown]
    if results.examples:
        grids = draw_examples(results.examples, out, class_names, alike=(MODALITIES, SIZES))
        written += grids
        parts["Examples"] = [_EXAMPLES, *(Picture(grid, "Examples", 2000) for grid in grids)]
    else:
        left_out.append("qualitative: no examples")
    if left_out:
        parts["Left out"] = [left_out]
    parts["How it was made"] = _how_it_was_made(results)
    table = out / "scores.json"
    with written_whole(table) as temporary:
        columns = {name: results.scores[name].tolist() for name in HEADER}
        columns["value"] = [value if math.isfinite(value) else None for value in columns["value"]]
        temporary.write_text(json.dumps(columns), encoding="utf-8")
    page = out / "index.html"
    write_page(page, f"Results of {folder.resolve().name}", headline(results), cautions(results), parts)
    return [*written, table, page], left_out


_EXAMPLES = (
    "Rows are test subjects, with the left hemisphere on the left. From left to right: input, one of the context pairs,"
    " truth, prediction of each model with its score, and its absolute error on a fixed scale from 0 to 0.5. Masks are"
    " outlined on the image: blue the truth, orange the prediction."
)


def _written(item: Item, out: Path) -> tuple[list[Path], Table | Picture]:
    """The files of an item, and what the page shows of it."""
    if isinstance(item.content, Figure):
        files = save_figure(item.content, out, item.name)
        return files, Picture(files[1], item.title, round(item.content.get_figwidth() * _INCH))
    files = [out / f"{item.name}.md", out / f"{item.name}.tex"]
    for path, form in zip(files, (markdown, latex), strict=True):
        with written_whole(path) as temporary:
            temporary.write_text(form(item.content), encoding="utf-8")
    return files, item.content


def _how_it_was_made(results: Results) -> list[Block]:
    blocks: list[Block] = [
        f"Everything is computed from scores.csv: {len(results.scores):,} rows, SHA-256 {results.sha256}."
    ]
    if results.models is None:
        return [*blocks, "No models.json: weights and commands are not known."]
    columns = {"model": "Model", "kind": "Kind", "train_subjects": "Training subjects", "experiment": "Experiment"}
    columns |= {"config": "Configuration", "step": "Step", "weights": "Weights"}
    records = pd.DataFrame(list(results.models))
    records = records.reindex(columns=[*columns, "sha256", "command", "versions"]).astype(object)
    records = records.where(records.notna(), "")
    # One row for each model, however many commands evaluated it.
    rows = records[list(columns)].map(str).drop_duplicates()
    cells = tuple(tuple(map(Cell, row)) for row in rows.itertuples(index=False))
    blocks.append(Table("models", "", tuple(columns.values()), (cells,), numbers=False))
    hashes = records.loc[records["sha256"] != "", ["sha256", "weights"]].map(str).drop_duplicates()
    if len(hashes):
        blocks += ["SHA-256 of the weights:", ["  ".join(row) for row in hashes.itertuples(index=False)]]
    if commands := [str(command) for command in records["command"].drop_duplicates() if command]:
        blocks += ["Commands:", commands]
    versions = dict.fromkeys(
        ", ".join(f"{name} {number}" for name, number in found.items())
        for found in records["versions"]
        if isinstance(found, dict)
    )
    own = f"neuralizer-jax {version('neuralizer-jax')}"
    return [*blocks, f"Versions: {'; '.join(versions) or 'not known'}; of this report: {own}."]
