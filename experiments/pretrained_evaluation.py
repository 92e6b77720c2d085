"""What trained weights do on what they never saw: label maps that were held out, and real scans segmented by hand.

    neuralizer prepare labelmaps --raw FOLDER --subjects-per-map 10 --slices=-25:-9:4 --out data
    neuralizer prepare multiatlas2012 --raw FOLDER --out data
    neuralizer experiment --config experiments/pretrained_evaluation.py --out results/pretrained

`:weights=FILE` evaluates others than those that come along. `pretrained.py` trains on all label maps but those of the
validation split, which are the targets here; their contexts are of the 13 other maps, of which 12 show all structures.
Of the 15 scans each is a target, and the others are its context. Beside the weights stands what has learned nothing.
Each dataset has a folder with a report of its own, `python benchmarks/pretrained.py` sums them up. Half an hour on two
CPU cores; `scans=5` is quicker, `maps=0,scans=0,regions=0` takes all subjects.
"""

from collections.abc import Sequence
from pathlib import Path

from commands import run_steps_of

from neuralizer_jax.experiment_commands import Step, shown_path
from neuralizer_jax.weights.pretrained import DEFAULT, weights_path

_BASE = Path(__file__).parent / "base.py"

# Their names in the tables.
_MODEL, _OTHER = "Neuralizer-seen", "Context of other modalities"

MAPS, SCANS = "labelmaps", "multiatlas2012"
_WHO = {MAPS: ("--split", "val", "--context-split", "all"), SCANS: ("--split", "all")}
_SIZES = {MAPS: (1, 2, 4, 8, 12), SCANS: (1, 2, 4, 8, 14)}
_MODALITIES = ("T1", "T2", "FLAIR")

# White matter, cortex, lateral ventricles, thalamus, hippocampus, putamen, left and right; brain stem.
_STRUCTURES = tuple(f"freesurfer:{label}" for label in (2, 41, 3, 42, 4, 43, 10, 49, 17, 53, 12, 51, 16))

# Of the scans' own protocol those of which more than two of them show 30 pixels.
_SHOWN = (35, 44, 45, 47, 48, 51, 52, *range(57, 63), 112, 113, 122, 123, 132, 133, 138, 139, 150, 151, 154, 155)
_SHOWN += (*range(170, 174), 176, 177, *range(180, 186), *range(190, 196), 200, 201, 206, 207)
_REGIONS = tuple(f"neuromorphometrics:{label}" for label in _SHOWN)

# Pixels of a structure of which all scans have as many: a context of 14 can show each of them.
_ALL_SHOW = "--config.data.classes.min_pixels=20"

# Those that a context of another modality can show.
_ONE_IMAGE = ("segmentation", "skull_stripping", "super_resolution", "motion_correction")
_ONE_IMAGE += ("undersampled_reconstruction", "denoising", "inpainting")


def get_steps(
    out: Path, data: Path, weights: str = DEFAULT, maps: int = 5, scans: int = 15, regions: int = 1
) -> list[Step]:
    """The commands.

    Args:
        out: folder of the results.
        data: folder of the prepared datasets.
        weights: file, or name of some that come along.
        maps: targets of each task, modality and structure, at most, of the label maps; 0: all.
        scans: the same of the real scans.
        regions: targets of each class where all that a slice shows are segmented, at most; 0: all.
    """

    def evaluated(
        dataset: str, experiment: str, *options: str, name: str = _MODEL, most: int = maps, **only: Sequence[str]
    ) -> Step:
        folder = out / dataset
        command = (
            *("evaluate", "--config", shown_path(_BASE), "--experiment", experiment),
            *("--weights", f"{name}={shown_path(weights_path(weights))}", "--out", shown_path(folder)),
            *("--data", shown_path(data / dataset), *_WHO[dataset], "--draws", "1", "--subjects", str(most), *options),
            *(f"--config.data.only.{kind}={','.join(names)}" for kind, names in only.items()),
        )
        # What is done already is quick; where the weights are others than before, it says so.
        return Step(command, folder / "scores.csv", always=True)

    sizes = {dataset: ("--trivial", "--sizes", *map(str, its)) for dataset, its in _SIZES.items()}
    segmentation, structures, shown = ("segmentation",), {"classes": _STRUCTURES}, {"modalities": _MODALITIES}
    at_8 = ("--sizes", "8", "--modalities", "1")
    other = {"tasks": _ONE_IMAGE} | structures | shown
    return [
        evaluated(MAPS, "experiment1", *sizes[MAPS], "--modalities", "2", **structures, **shown),
        evaluated(MAPS, "experiment3", *sizes[MAPS], "--modalities", "1", most=regions, tasks=segmentation, **shown),
        evaluated(MAPS, "ablations", *at_8, **other),
        evaluated(MAPS, "ablations", *at_8, "--context-modality", "other", name=_OTHER, **other),
        _report(out / MAPS),
        evaluated(SCANS, "experiment1", *sizes[SCANS], _ALL_SHOW, most=scans, **structures),
        evaluated(SCANS, "experiment3", *sizes[SCANS], most=regions, tasks=segmentation, classes=_REGIONS),
        _report(out / SCANS),
    ]


def _report(folder: Path) -> Step:
    return Step(("report", shown_path(folder)), folder / "report/index.html", always=True)


if __name__ == "__main__":
    run_steps_of(__file__)
