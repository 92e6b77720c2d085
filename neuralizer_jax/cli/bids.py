"""`neuralizer bids`: segments a BIDS dataset, with the command line that BIDS Apps have."""

import argparse
from pathlib import Path

from neuralizer_jax import __version__
from neuralizer_jax.cli.segmentation_options import add_context, add_labels, add_overwrite, add_way, add_weights

_DESCRIPTION = """\
Segments the anatomical scans of a BIDS dataset, and writes a BIDS derivative.

participant: for each scan its labels, a table of volumes with the Dice that is
expected, and the brain mask; for each subject a page. Examples are annotated
scans (--context), or without them built-in heads. Scans are segmented in the
contrast of the examples. The same command goes on where it was stopped; several
may run at a time, for different participants.

group: collects the tables of all scans in OUTPUT_DIR/group_dseg.tsv, and lists
the pages in OUTPUT_DIR/group.html.

Exit status: 0: done; 1: some scans failed, the others are done; 2: wrong input.
"""

_EPILOG = """examples:
  neuralizer bids data/ data/derivatives/neuralizer participant --context annotated/
  neuralizer bids data/ out/ participant --participant-label 01 02 --labels 17,53
  neuralizer bids data/ out/ group
"""

# Options that `neuralizer predict` has besides.
_FIXED = {
    "aligned": False,
    "probabilities": False,
    "transforms": False,
    "bootstrap": 0,
    "seed": 0,
    "all_devices": False,
    "on_progress": None,
}


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "bids",
        help="segment a BIDS dataset",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bids_dir", metavar="BIDS_DIR", type=Path, help="the dataset")
    parser.add_argument("output_dir", metavar="OUTPUT_DIR", type=Path, help="the derivative, BIDS_DIR/derivatives/NAME")
    parser.add_argument("analysis_level", choices=("participant", "group"), help="segment scans, or collect tables")
    parser.add_argument("--version", action="version", version=f"neuralizer {__version__}")
    which = parser.add_argument_group("which scans")
    which.add_argument(
        *("--participant-label", "--participant_label"),
        metavar="LABEL",
        nargs="+",
        help="these subjects, with or without sub- (default: all)",
    )
    which.add_argument(
        *("--session-label", "--session_label", "--session-id"),
        metavar="LABEL",
        nargs="+",
        help="these sessions, with or without ses- (default: all, and scans without session)",
    )
    which.add_argument(
        "--contrast",
        metavar="SUFFIX",
        help="scans of this contrast, as T1w (default: that of the examples; without examples T1w, or the next of T2w, "
        "PDw, FLAIR, ... that there is)",
    )
    which.add_argument(
        *("--skip-bids-validation", "--skip_bids_validation"),
        action="store_true",
        help="no note on a dataset without description (names are checked as far as they are needed, in any case)",
    )
    how = parser.add_argument_group("segmentation")
    add_weights(how)
    add_context(how)
    add_labels(how)
    add_way(how)
    add_overwrite(how)
    parser.set_defaults(run=run, **_FIXED, less_memory="smaller scans or another device")


def run(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit status."""
    if options.analysis_level == "group":
        from neuralizer_jax.cli.bids_group import collect_tables

        return collect_tables(options)
    from neuralizer_jax.cli.bids_participant import segment_participants

    return segment_participants(options)
