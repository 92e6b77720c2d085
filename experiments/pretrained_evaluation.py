"""Scores of the shipped weights on data they never saw: held-out label maps, and real scans segmented by hand.

    neuralizer prepare labelmaps --raw FOLDER --subjects-per-map 10 --slices=-25:-9:4 --out data
    neuralizer prepare labelmaps --raw FOLDER --volumes --out data
    neuralizer prepare multiatlas2012 --raw FOLDER --align intensities --out data
    neuralizer prepare multiatlas2012 --raw FOLDER --align intensities --volumes --out data
    neuralizer experiment --config experiments/pretrained_evaluation.py --out results/pretrained

`:weights=FILE` evaluates other weights. The targets are the label maps of the validation split; `pretrained.py` does
not train on them. Their contexts come from the 13 other maps; 12 of these show all structures. Each of the 15 scans
is a target with the other scans as its context. Structures are also segmented in slices of other planes and positions,
which are cut from the volumes. Beside the weights stand untrained baselines. Each dataset has a folder with its own
report, and the card of the weights is written beside them. `others=1` adds the scans of data/bids, see
`pretrained_others.py`. `python benchmarks/pretrained.py` sums up; `benchmarks/pretrained_goals.py` compares two
evaluations. An hour on two CPU cores; `quick=1` takes few subjects and sizes, `maps=0,scans=0,regions=0,planes=0` all
subjects. Expected: `benchmarks/results/pretrained.md`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments import pretrained_others
from experiments.common.command_builder import report
from neuralizer_jax.cli.experiment_file import run_file
from neuralizer_jax.experiment_commands import Command, shown_path
from neuralizer_jax.weights.pretrained import DEFAULT, weights_path

# Their names in the tables.
_MODEL, _OTHER = "Neuralizer-seen", "Context of other modalities"

MAPS, SCANS = "labelmaps", "multiatlas2012"
TITLES = {MAPS: "Label maps that were held out", SCANS: "15 real T1 scans (MICCAI 2012 challenge)"}
_SPLITS = {MAPS: ("--split", "val", "--context-split", "all"), SCANS: ("--split", "all")}
_SIZES = {MAPS: (1, 2, 4, 8, 12), SCANS: (1, 2, 4, 8, 14)}
_MODALITIES = ("T1", "T2", "FLAIR")

# White matter, cortex, lateral ventricles, thalamus, hippocampus, putamen, left and right; brain stem.
_STRUCTURES = tuple(f"freesurfer:{label}" for label in (2, 41, 3, 42, 4, 43, 10, 49, 17, 53, 12, 51, 16))

# Labels of the scans' protocol that have 30 pixels in more than two scans.
_SHOWN = (35, 44, 45, 47, 48, 51, 52, *range(57, 63), 112, 113, 122, 123, 132, 133, 138, 139, 150, 151, 154, 155)
_SHOWN += (*range(170, 174), 176, 177, *range(180, 186), *range(190, 196), 200, 201, 206, 207)
_REGIONS = tuple(f"neuromorphometrics:{label}" for label in _SHOWN)

# Every structure has at least 20 pixels in all scans, so that a context of 14 shows each of them.
_ALL_SHOW = "--config.data.classes.min_pixels=20"

# Three positions of each plane: through structures of the mid coronal slice, and at its ends.
_PLANES = (
    *("coronal:-45", "coronal:-17", "coronal:10", "sagittal:-24", "sagittal:-10", "sagittal:24"),
    *("axial:-12", "axial:12", "axial:30"),
)

# Tasks with one input image, for which a context of another modality makes sense.
_ONE_IMAGE = (
    *("segmentation", "skull_stripping", "super_resolution", "motion_correction"),
    *("undersampled_reconstruction", "denoising", "inpainting"),
)


def get_commands(
    out: Path,
    data: Path,
    weights: str = DEFAULT,
    maps: int = 5,
    scans: int = 15,
    regions: int = 1,
    planes: int = 5,
    others: int = 0,
    quick: int = 0,
    text: str = "pretrained_first_card.md.j2",
    training: str = "",
) -> list[Command]:
    """The commands.

    Args:
        out: folder of the results.
        data: folder of the prepared datasets.
        weights: file, or name of shipped weights.
        maps: largest number of label-map targets for each task, modality and structure; 0: all.
        scans: the same for the real scans.
        regions: the same for each class of `experiment3`, which segments all classes that a slice shows.
        planes: the same for each structure and plane of `planes`.
        others: 1 for the scans of data/bids too.
        quick: 1 for at most three of all of them, N = 1 and 8, and no `experiment3`.
        text: template of the card, a file beside this one.
        training: folder of the training, for the card.
    """
    if quick:
        maps, scans, planes = (min(number or 3, 3) for number in (maps, scans, planes))

    def evaluate(
        dataset: str, experiment: str, *options: str, name: str = _MODEL, most: int = maps, **only: Sequence[str]
    ) -> Command:
        folder = out / dataset
        command = (
            *("evaluate", "--config", "base", "--experiment", experiment),
            *("--weights", f"{name}={shown_path(weights_path(weights))}", "--out", shown_path(folder)),
            *("--data", shown_path(data / (f"{dataset}-volumes" if experiment == "planes" else dataset))),
            *(*_SPLITS[dataset], "--draws", "1", "--subjects", str(most)),
            *(*options, *(f"--config.data.only.{kind}={','.join(names)}" for kind, names in only.items())),
        )
        # Always: `evaluate` skips the scores it has and notices when the weights have changed.
        return Command(command, folder / "scores.csv", always=True)

    sizes = {
        dataset: ("--untrained", "--sizes", *map(str, (1, 8) if quick else its)) for dataset, its in _SIZES.items()
    }
    segmentation: dict[str, Any] = {"tasks": ("segmentation",)}
    structures: dict[str, Any] = {"classes": _STRUCTURES}
    shown: dict[str, Any] = {"modalities": _MODALITIES}
    at_8 = ("--sizes", "8", "--modalities", "1")
    other = structures | shown | {"tasks": _ONE_IMAGE}
    in_planes = ("--untrained", "--sizes", "8", "--planes", *_PLANES, _ALL_SHOW)
    everything = [
        evaluate(MAPS, "experiment1", *sizes[MAPS], "--modalities", "2", **structures, **shown),
        evaluate(MAPS, "experiment3", *sizes[MAPS], "--modalities", "1", most=regions, **segmentation, **shown),
        evaluate(MAPS, "ablations", *at_8, **other),
        evaluate(MAPS, "ablations", *at_8, "--context-modality", "other", name=_OTHER, **other),
        evaluate(MAPS, "planes", *in_planes, "--modalities", "1", most=planes, **segmentation | structures | shown),
        report(out / MAPS),
        evaluate(SCANS, "experiment1", *sizes[SCANS], _ALL_SHOW, most=scans, **structures),
        evaluate(SCANS, "experiment3", *sizes[SCANS], most=regions, **segmentation, classes=_REGIONS),
        evaluate(SCANS, "planes", *in_planes, most=planes, **segmentation | structures),
        report(out / SCANS),
    ]
    everything = [each for each in everything if not quick or "experiment3" not in each.arguments]
    titles = {SCANS: TITLES[SCANS], MAPS: TITLES[MAPS]}
    if others:
        everything += pretrained_others.get_commands(out / "bids", data, weights)
        titles["bids"] = "Scans from elsewhere"
    path = out / f"{weights_path(weights).stem}.md"
    card = (
        *("card", "--weights", shown_path(weights_path(weights)), "--out", shown_path(path)),
        *("--template", shown_path(Path(__file__).parent / text)),
        *("--scores", *(f"{title}={shown_path(out / folder)}" for folder, title in titles.items())),
        *(("--training", training) if training else ()),
    )
    return [*everything, Command(card, path, always=True)]


def prepare(data: Path, maps: str, scans: str) -> list[Command]:
    """The commands that prepare the datasets but for volumes of the maps, from folders of label maps and of scans."""
    aligned = ("prepare", SCANS, "--raw", scans, "--align", "intensities", "--out", shown_path(data))
    slices = (
        "prepare",
        MAPS,
        "--raw",
        maps,
        "--subjects-per-map",
        "10",
        "--slices=-25:-9:4",
        "--out",
        shown_path(data),
    )
    return [
        Command(slices, data / MAPS),
        Command(aligned, data / SCANS),
        Command((*aligned, "--volumes"), data / f"{SCANS}-volumes"),
    ]


if __name__ == "__main__":
    run_file("experiment", __file__)
