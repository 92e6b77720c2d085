"""`neuralizer report DIR`: figures, tables and a page from the results of evaluations."""

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "report",
        help="make figures, tables and a page from a folder of results",
        description="Reads scores.csv, written by `neuralizer evaluate`, and if they exist models.json, runtime.json "
        "and examples. Writes the paper's figures (PNG, SVG) and tables (Markdown, LaTeX), qualitative grids, and "
        "index.html, a page with all of them. Parts that cannot be made from the results are listed with the reason.",
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of results")
    parser.add_argument("--out", metavar="DIR", type=Path, help="folder to write to (default: DIR/report)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    from neuralizer_jax.report.report import write_report

    written, left_out = write_report(options.folder, options.out or options.folder / "report", class_names())
    for path in written:
        print(path)
    for line in left_out:
        print(f"left out: {line}")


def class_names() -> dict[str, str]:
    """Names of the classes of all protocols, as `left hippocampus` for `freesurfer:17`."""
    from input_pipeline.space.structure_names import FREESURFER_CLASSES, HAMMERS_CLASSES, NEUROMORPHOMETRICS_CLASSES

    protocols = {"freesurfer": FREESURFER_CLASSES, "hammers": HAMMERS_CLASSES}
    protocols["neuromorphometrics"] = NEUROMORPHOMETRICS_CLASSES
    return {f"{protocol}:{label}": name for protocol, classes in protocols.items() for label, name in classes.items()}
