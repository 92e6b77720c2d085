"""The shipped weights on your own scans, organised as BIDS, with context pairs of other people.

    neuralizer prepare bids --raw FOLDER --out data
    neuralizer prepare multiatlas2012 --raw FOLDER --align intensities --out data
    neuralizer prepare labelmaps --raw FOLDER --subjects-per-map 10 --slices=-25:-9:4 --out data
    neuralizer experiment --config experiments/pretrained_others.py --out results/pretrained_others

Every subject of data/bids is a target. The context is taken from the 15 real T1 scans of the MICCAI 2012 challenge,
whatever your scanner is; then, as `ablations`, from label maps whose synthetic images have another modality than the
target. Beside the weights stand untrained baselines. `:weights=FILE` evaluates other weights. Expected, for one T1
scan: `benchmarks/results/pretrained_comparisons.md`.
"""

from pathlib import Path

from experiments.common.command_builder import report
from neuralizer_jax.cli.experiment_file import run_file
from neuralizer_jax.experiment_commands import Command, shown_path
from neuralizer_jax.weights.pretrained import DEFAULT, weights_path

# White matter, cortex, lateral ventricles, thalamus, hippocampus, putamen, left and right; brain stem.
_STRUCTURES = tuple(f"freesurfer:{label}" for label in (2, 41, 3, 42, 4, 43, 10, 49, 17, 53, 12, 51, 16))

_TASKS = (
    *("segmentation", "super_resolution", "motion_correction"),
    *("undersampled_reconstruction", "denoising", "inpainting"),
)


def get_commands(out: Path, data: Path, weights: str = DEFAULT) -> list[Command]:
    """The commands.

    Args:
        out: folder of the results.
        data: folder of the prepared datasets.
        weights: file, or name of shipped weights.
    """

    def evaluate(experiment: str, context: str, *options: str) -> Command:
        command = (
            *("evaluate", "--config", "base", "--split", "all", "--context-split", "all", "--untrained"),
            *("--weights", f"Neuralizer-seen={shown_path(weights_path(weights))}", "--data", shown_path(data / "bids")),
            *("--out", shown_path(out), "--config.data.classes.min_pixels=20"),
            *(f"--config.data.only.tasks={','.join(_TASKS)}", f"--config.data.only.classes={','.join(_STRUCTURES)}"),
            *("--experiment", experiment, "--context-data", shown_path(data / context), *options),
        )
        return Command(command, out / "scores.csv", always=True)

    return [
        evaluate("experiment1", "multiatlas2012", "--sizes", "1", "2", "4", "8", "14"),
        evaluate("ablations", "labelmaps", "--sizes", "4", "8", "--context-modality", "other"),
        report(out),
    ]


if __name__ == "__main__":
    run_file("experiment", __file__)
