"""`neuralizer prepare DATASET --raw DIR --out DIR`: raw files in, slices that training reads out."""

import argparse
from pathlib import Path

from neuralizer_jax.errors import InputError

DATASETS = (
    "oasis3", "brats2021", "ixi", "atlas2", "hammers", "isles2022", "wmh2017", "multiatlas2012", "bids", "labelmaps",
    "phantom",
)  # fmt: skip

_DEFAULT_Y = -17


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "prepare",
        help="turn a dataset's raw files into slices for training",
        description="Finds the subjects in a folder of raw files, aligns them to MNI152 space, checks them, cuts "
        "coronal slices and stores them for training. Run again after an interruption, it goes on where it stopped. "
        "Beside the dataset it writes a page to look it over (DIR/DATASET/quality/index.html) and what was left out "
        "and why (DIR/DATASET/dropped.csv).",
    )
    parser.add_argument("dataset", metavar="DATASET", choices=DATASETS, help=", ".join(DATASETS))
    parser.add_argument("--raw", metavar="DIR", type=Path, help="folder of the raw files (not for phantom)")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("data"), help="folder of datasets (default: data)"
    )
    parser.add_argument(
        "--slices",
        metavar="Y",
        type=_slices,
        help=f"coronal slices, mm in MNI152: one (default: {_DEFAULT_Y}), several as --slices=-25,-17, a range "
        "with its step as --slices=-25:-9:4, or all",
    )
    parser.add_argument("--workers", metavar="N", type=_at_least_one, help="processes (default: one a core)")
    parser.add_argument(
        "--shard",
        metavar="I/N",
        type=_shard,
        help="make only the I-th of N parts of the subjects, in one folder with the others, for a cluster's job array; "
        "when all are done, run once without it",
    )
    scans = parser.add_argument_group("datasets of scans")
    scans.add_argument(
        "--segmentations",
        metavar="DIR",
        type=Path,
        help="folder of whole-brain segmentations and brain masks that do not lie beside the images",
    )
    scans.add_argument(
        "--align",
        choices=("auto", "intensities"),
        help="auto: to MNI152 by the segmentation where there is one, else by intensities (default); intensities: "
        "always by the image alone, as for a new scan, which has no labels",
    )
    made = parser.add_argument_group("labelmaps and phantom")
    made.add_argument("--subjects", metavar="N", type=_at_least_one, help="phantom: how many (default: 40)")
    made.add_argument(
        "--subjects-per-map",
        metavar="N",
        type=_at_least_one,
        help="labelmaps: subjects made of each map, all but the first by a random warp (default: 1)",
    )
    made.add_argument(
        "--swap-hemispheres",
        action="store_const",
        const=True,
        help="labelmaps: as many subjects again with left and right exchanged",
    )
    made.add_argument(
        "--skull-stripped",
        metavar="SHARE",
        type=_share,
        help="share of the subjects whose images are skull-stripped (default: 0.5)",
    )
    made.add_argument("--seed", metavar="N", type=int, help="of everything random (default: 0)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    from input_pipeline.prepare.dataset import prepare_dataset
    from input_pipeline.raw.datasets import BUILDERS
    from input_pipeline.slices.settings import PrepareSettings
    from input_pipeline.store.records import SliceStore

    builder = BUILDERS[options.dataset]
    given = {name: getattr(options, name) for name in vars(PrepareSettings()) if getattr(options, name) is not None}
    for name in given.keys() - set(builder.SETTINGS):
        raise InputError(f"--{name.replace('_', '-')}: {options.dataset} has no use for it")
    settings = PrepareSettings(**given)
    needs_raw = bool(builder.MANUAL_DOWNLOAD_INSTRUCTIONS)
    if needs_raw and options.raw is None:
        how = " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
        raise InputError(f"{options.dataset}: expected its folder of raw files, --raw DIR. {how}")
    if options.raw is not None and not needs_raw:
        raise InputError(f"--raw: {options.dataset} has no use for it, it is made of nothing")
    folder = options.out / options.dataset

    if options.shard:
        number, count = options.shard
        made, total = builder.prepare_shard(options.raw, folder, settings, workers=options.workers, shard=options.shard)
        print(
            f"{folder}: part {number} of {count} done, {made} of {total} subjects; when all parts are, run the same "
            "command without --shard"
        )
        return
    prepare_dataset(builder, options.raw, options.out, settings, workers=options.workers, command=options.command_line)
    store = SliceStore(folder)
    splits = {split: len(store.subjects(split)) for split in ("train", "val", "test")}
    print(f"{folder}: {len(store.subjects())} subjects ({', '.join(f'{n} {split}' for split, n in splits.items())})")
    print(f"look it over: {folder / 'quality/index.html'}")
    with (folder / "dropped.csv").open(encoding="utf-8") as file:
        left_out = sum(1 for _ in file) - 1
    if left_out:
        print(f"left out: {left_out} subjects or images, with the reasons in {folder / 'dropped.csv'}")


def _slices(text: str) -> tuple[int, ...]:
    """`-17`, `-25,-17`, `-25:-9:4` (both ends included) or `all`."""
    from input_pipeline.space.grid import ORIGIN, SHAPE, coronal_index

    try:
        if text == "all":
            return tuple(range(ORIGIN[1], ORIGIN[1] + SHAPE[1]))
        if ":" in text:
            start, stop, step = (int(part) for part in text.split(":"))
            places = tuple(range(start, stop + 1, step))
        else:
            places = tuple(int(part) for part in text.split(","))
        if not places:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected -17, -25,-17, -25:-9:4 or all") from None
    try:
        for place in places:
            coronal_index(place)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return tuple(sorted(set(places)))


def _shard(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text!r}: expected I/N with I from 1 to N, as 3/8")
    return int(number), int(count)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number from 0 to 1")
    return share


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1")
    return int(text)
