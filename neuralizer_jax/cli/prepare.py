"""`neuralizer prepare DATASET --raw DIR --out DIR`: from raw files to the slices or volumes that training reads."""

import argparse
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from textwrap import fill

from input_pipeline.raw.datasets import DATASETS
from neuralizer_jax.errors import InputError

_DEFAULT_Y = -17

_DESCRIPTION = """\
Finds the subjects in a folder of raw files, aligns them to MNI152 space, checks them, cuts coronal slices and stores
them for training, or whole volumes. An interrupted run continues when it is started again. Writes the dataset to
OUT/DATASET, with a page to check it (quality/index.html) and a table of what was left out and why (dropped.csv).
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    width = min(shutil.get_terminal_size().columns, 120) - 2
    parser = commands.add_parser(
        "prepare",
        help="turn a dataset's raw files into slices or volumes for training",
        description=fill(_DESCRIPTION, width),
        epilog=_list_of_datasets(width),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", metavar="DATASET", choices=DATASETS, help="one of the datasets below")
    parser.add_argument("--raw", metavar="DIR", type=Path, help="folder of the raw files (all but phantom)")
    parser.add_argument(
        "--out", metavar="OUT", type=Path, default=Path("data"), help="folder of prepared datasets (default: data)"
    )
    parser.add_argument(
        "--volumes",
        action="store_true",
        default=None,
        help="store whole volumes instead of slices, in OUT/DATASET-volumes: training cuts slices in any plane and "
        "position from them, and synthesises images where there are label maps alone",
    )
    parser.add_argument(
        "--slices",
        metavar="Y",
        type=_slices,
        help=f"y of the coronal slices, mm in MNI152: one (default: {_DEFAULT_Y}), several as --slices=-25,-17, a "
        "range with its step as --slices=-25:-9:4, or all",
    )
    parser.add_argument("--workers", metavar="N", type=_at_least_one, help="processes (default: one for each core)")
    parser.add_argument(
        "--shard",
        metavar="I/N",
        type=_shard,
        help="make only part I of N of the subjects, for a cluster's job array; when all parts are done, run once "
        "without --shard",
    )
    scans = parser.add_argument_group("options of scans")
    scans.add_argument(
        "--segmentations",
        metavar="DIR",
        type=Path,
        help="folder of whole-brain segmentations and brain masks, if they are not beside the images",
    )
    scans.add_argument(
        "--align",
        choices=("auto", "intensities"),
        help="how to align to MNI152. auto: by the segmentation if there is one, else by the image's intensities "
        "(default). intensities: always by the image alone, as for a new scan without labels",
    )
    made = parser.add_argument_group("options of labelmaps and phantom")
    made.add_argument("--subjects", metavar="N", type=_at_least_one, help="phantom: number of subjects (default: 40)")
    made.add_argument(
        "--subjects-per-map",
        metavar="N",
        type=_at_least_one,
        help="labelmaps: subjects made from each map, all but the first with a random warp (default: 1)",
    )
    made.add_argument(
        "--swap-hemispheres",
        action="store_true",
        default=None,
        help="labelmaps: add every subject again with left and right exchanged",
    )
    made.add_argument(
        "--skull-stripped",
        metavar="SHARE",
        type=_share,
        help="share of the subjects with skull-stripped images, 0 to 1 (default: 0.5)",
    )
    made.add_argument("--seed", metavar="N", type=int, help="random seed (default: 0)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    from input_pipeline.prepare.dataset import prepare_dataset
    from input_pipeline.prepare.jobs import settings_of
    from input_pipeline.slices.record import SPLITS
    from input_pipeline.slices.settings import PrepareSettings
    from input_pipeline.store.records import SliceStore
    from input_pipeline.store.volumes import open_volumes

    dataset = DATASETS[options.dataset]
    given = {name: getattr(options, name) for name in vars(PrepareSettings()) if getattr(options, name) is not None}
    settings, workers, shard = PrepareSettings(**given), options.workers, options.shard
    for name in given.keys() - set(settings_of(dataset.name, volumes=settings.volumes)):
        what = f"{dataset.name} as volumes" if settings.volumes else dataset.name
        raise InputError(f"--{name.replace('_', '-')}: is not an option of {what}")
    folder = prepare_dataset(
        dataset, options.raw, options.out, settings, workers=workers, shard=shard, command=options.command_line
    )
    if shard:
        print("{}: part {} of {} done; when all parts are done, run without --shard".format(folder, *shard))
        return
    index = open_volumes(folder).index if settings.volumes else SliceStore(folder).index
    splits = Counter(entry["split"] for entry in index)
    shares = ", ".join(f"{splits[split]} {split}" for split in SPLITS)
    print(f"{folder}: {len(index)} subject{'s' * (len(index) > 1)} ({shares})")
    print(f"check it: {folder / 'quality/index.html'}")
    with (folder / "dropped.csv").open(encoding="utf-8") as file:
        left_out = sum(1 for _ in file) - 1
    if left_out:
        print(f"left out: {left_out} subjects or images, with the reasons in {folder / 'dropped.csv'}")


def _list_of_datasets(width: int) -> str:
    lines = ["datasets:"]
    for dataset in DATASETS.values():
        indent = 18 * " "
        lines.append(fill(f"  {dataset.name:<16}{dataset.description}", width, subsequent_indent=indent))
        lines.append(fill(dataset.how_to_get, width, initial_indent=indent, subsequent_indent=indent,
                          break_long_words=False, break_on_hyphens=False))  # fmt: skip
    return "\n".join(lines)


def _slices(text: str) -> tuple[int, ...]:
    """`-17`, `-25,-17`, `-25:-9:4` (both ends included) or `all`."""
    from input_pipeline.space.grid import ORIGIN, SHAPE, coronal_index

    places: Sequence[int]
    try:
        if text == "all":
            places = range(ORIGIN[1], ORIGIN[1] + SHAPE[1])
        elif ":" in text:
            start, stop, step = (int(part) for part in text.split(":"))
            places = range(start, stop + 1, step)
        else:
            places = [int(part) for part in text.split(",")]
    except ValueError:
        places = ()
    if not places:
        raise argparse.ArgumentTypeError(f"{text!r}: expected -17, -25,-17, -25:-9:4 or all")
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
    with suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r}: expected a number from 0 to 1")


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1")
    return int(text)
