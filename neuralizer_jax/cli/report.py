"""`neuralizer report DIR`: figures, tables and a page of an evaluation, a training, or segmented scans."""

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "report",
        help="make figures, tables and a page from a folder of results",
        description="Of the results of `neuralizer evaluate` (scores.csv, and if they exist models.json, runtime.json "
        "and examples): the paper's figures (PNG, SVG) and tables (Markdown, LaTeX), qualitative grids; of whole scans "
        "the Dice of each scan, and predicted against true volumes. Of the folder of a training that ended: curves, "
        "settings, data and versions. Of label maps of `neuralizer predict` (*_dseg.tsv): volumes of each structure, "
        "and the scans to look at. index.html is a page with all of it. Parts that cannot be made are listed with the "
        "reason.",
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of results")
    parser.add_argument("--out", metavar="DIR", type=Path, help="folder to write to (default: DIR/report)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    written, left_out = _written(options.folder, options.out or options.folder / "report")
    for path in written:
        print(path)
    for line in left_out:
        print(f"left out: {line}")


def _written(folder: Path, out: Path) -> tuple[list[Path], list[str]]:
    """Writes the report that fits the folder. Returns the files, and what was left out with the reason."""
    if (folder / "scores.csv").exists() or not folder.is_dir():
        from neuralizer_jax.report.report import write_report

        return write_report(folder, out, class_names())
    if (folder / "config.json").exists() and (folder / "metrics.csv").exists():
        return [_training_page(folder, out / "index.html")], []
    from neuralizer_jax.errors import InputError, one_line
    from neuralizer_jax.report.predicted_volumes import find_tables, write_volumes_report

    if tables := find_tables(folder):
        return write_volumes_report(folder, tables, out)
    raise InputError(
        f"{one_line(folder)}: has no results, expected scores.csv of an evaluation, the folder of a training, or "
        "tables of label maps (*_dseg.tsv)"
    )


def _training_page(folder: Path, page: Path) -> Path:
    import tempfile

    from flax.traverse_util import flatten_dict

    from neuralizer_jax.cli.card import draw_curves
    from neuralizer_jax.experiment_config import load_config
    from neuralizer_jax.report.training_page import write_training_page
    from neuralizer_jax.report.trainings import read_training, with_those_before

    folders = with_those_before(folder)
    trainings = [read_training(its) for its in folders]
    pictures = sorted((folder / "pictures").glob("step_*.png"))
    with tempfile.TemporaryDirectory() as temporary:
        curves = draw_curves(folders, Path(temporary) / "curves.png")
        write_training_page(
            page,
            trainings,
            curves,
            flatten_dict(load_config("base").to_dict(), sep="."),
            pictures[-1] if pictures else None,
        )
    return page


def class_names() -> dict[str, str]:
    """Names of the classes of all protocols, as `left hippocampus` for `freesurfer:17`."""
    from input_pipeline.space.structure_names import FREESURFER_CLASSES, HAMMERS_CLASSES, NEUROMORPHOMETRICS_CLASSES

    protocols = {"freesurfer": FREESURFER_CLASSES, "hammers": HAMMERS_CLASSES}
    protocols["neuromorphometrics"] = NEUROMORPHOMETRICS_CLASSES
    return {f"{protocol}:{label}": name for protocol, classes in protocols.items() for label, name in classes.items()}
