"""Options of the commands that segment whole scans: the network, the examples, their labels, and how to predict."""

import argparse
from pathlib import Path

_VIEWS = ("coronal", "axial", "sagittal")


def add_weights(group: argparse._ArgumentGroup) -> None:
    """The network."""
    group.add_argument(
        "--weights",
        metavar="FILE",
        help="weights file, checkpoint or checkpoint folder, the name of weights in the package (default: small), "
        "or hf://OWNER/NAME or hf://OWNER/NAME@REVISION on the Hugging Face hub",
    )


def add_context(group: argparse._ArgumentGroup) -> None:
    """The examples."""
    group.add_argument(
        "--context",
        metavar="DIR",
        type=Path,
        help="folder of context pairs: NAME_in0.png with NAME_out0.png, ...; of scans also BIDS (sub-01_T1w.nii.gz "
        "with sub-01_dseg.nii.gz), nnU-Net (imagesTr, labelsTr), NAME with NAME_seg, and volumes from `neuralizer "
        "prepare --volumes`",
    )
    group.add_argument("--context-in", metavar="FILE", nargs="+", type=Path, help="inputs of the context pairs")
    group.add_argument("--context-out", metavar="FILE", nargs="+", type=Path, help="their outputs, in the same order")


def add_labels(group: argparse._ArgumentGroup) -> None:
    """Their labels."""
    group.add_argument(
        "--labels",
        metavar="L",
        nargs="+",
        type=label_list,
        help="segment only these labels: 47,48 or 47 48 (default: all labels in the context)",
    )
    group.add_argument(
        "--label-names",
        metavar="NAMES",
        help="names of the labels: freesurfer, neuromorphometrics or hammers if their numbers are; or a file, a BIDS "
        "dseg.tsv, a colour table of FreeSurfer or ITK-SNAP, nnU-Net's dataset.json, or lines of a number and a name "
        "(default for scans: the table beside the examples)",
    )


def add_way(group: argparse._ArgumentGroup) -> None:
    """How scans are segmented."""
    group.add_argument(
        "--examples-per-target",
        metavar="N",
        type=int,
        help="predict each structure from the N examples that resemble the target most where it lies (default: 8; of "
        "built-in examples 4)",
    )
    group.add_argument(
        "--planes",
        metavar="VIEWS",
        type=_views,
        default=_VIEWS,
        help=f"predict slices of these planes and average them (default: {','.join(_VIEWS)})",
    )
    group.add_argument(
        "--affine",
        action="store_true",
        help="align affinely only: do not deform scans to MNI152, which takes seconds a scan and makes segmentations "
        "better",
    )
    group.add_argument(
        "--partial",
        metavar="FILE",
        nargs="?",
        const=True,
        help="each example was annotated for the labels alone that it shows, so its background may hold the others; "
        'with FILE, for the labels that it lists, {"sub-01": [17, 53]} (default: labels.json in the folder of '
        "examples, or every example was annotated for all labels)",
    )


def add_overwrite(group: argparse._ArgumentGroup) -> None:
    """Whether results are replaced."""
    group.add_argument(
        "--overwrite",
        action="store_true",
        help="replace results of other files or options (default: they are kept, and the command stops; results of the "
        "same files and options are not computed again)",
    )


def label_list(text: str) -> list[int]:
    """The labels of an argument, `47,48`."""
    try:
        return [int(label) for label in text.split(",") if label]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}, expected whole numbers such as 47,48") from None


def _views(text: str) -> tuple[str, ...]:
    views = tuple(view for view in text.split(",") if view)
    if not views or len(set(views) & set(_VIEWS)) < len(views):
        raise argparse.ArgumentTypeError(f"{text!r}, expected some of {','.join(_VIEWS)}")
    return views
