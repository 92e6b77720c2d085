"""The weights that come along on scans of your own, named as BIDS does, with contexts of other people's.

    neuralizer prepare bids --raw FOLDER --out data
    neuralizer prepare multiatlas2012 --raw FOLDER --out data
    neuralizer prepare labelmaps --raw FOLDER --subjects-per-map 10 --slices=-25:-9:4 --out data
    neuralizer experiment --config experiments/pretrained_others.py --out results/pretrained_others

Every subject of data/bids is a target. The context is of the 15 real T1 scans of the MICCAI 2012 challenge, whatever
scanner yours are of; then, as `ablations`, of label maps whose images are synthetic and of another modality than the
target's. Beside the weights stands what has learned nothing. `:weights=FILE` evaluates others.
"""

from pathlib import Path

from commands import run_steps_of

from neuralizer_jax.experiment_commands import Step, shown_path
from neuralizer_jax.weights.pretrained import DEFAULT, weights_path

_BASE = Path(__file__).parent / "base.py"

# White matter, cortex, lateral ventricles, thalamus, hippocampus, putamen, left and right; brain stem.
_STRUCTURES = tuple(f"freesurfer:{label}" for label in (2, 41, 3, 42, 4, 43, 10, 49, 17, 53, 12, 51, 16))

_TASKS = ("segmentation", "super_resolution", "motion_correction", "undersampled_reconstruction", "denoising")
_TASKS += ("inpainting",)


def get_steps(out: Path, data: Path, weights: str = DEFAULT) -> list[Step]:
    """The commands.

    Args:
        out: folder of the results.
        data: folder of the prepared datasets.
        weights: file, or name of some that come along.
    """
    command = (
        *("evaluate", "--config", shown_path(_BASE), "--split", "all", "--context-split", "all", "--trivial"),
        *("--weights", f"Neuralizer-seen={shown_path(weights_path(weights))}", "--data", shown_path(data / "bids")),
        *("--out", shown_path(out), "--config.data.classes.min_pixels=20"),
        *(f"--config.data.only.tasks={','.join(_TASKS)}", f"--config.data.only.classes={','.join(_STRUCTURES)}"),
    )
    scans, maps = (("--context-data", shown_path(data / name)) for name in ("multiatlas2012", "labelmaps"))
    sizes, other = ("--sizes", "1", "2", "4", "8", "14"), ("--sizes", "4", "8", "--context-modality", "other")
    scores = out / "scores.csv"
    return [
        Step((*command, "--experiment", "experiment1", *scans, *sizes), scores, always=True),
        Step((*command, "--experiment", "ablations", *maps, *other), scores, always=True),
        Step(("report", shown_path(out)), out / "report/index.html", always=True),
    ]


if __name__ == "__main__":
    run_steps_of(__file__)
