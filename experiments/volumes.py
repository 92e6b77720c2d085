"""Whole scans: each of a folder of annotated ones is segmented from the others, beside votes of the aligned labels.

    neuralizer experiment --config experiments/volumes.py --data MULTIATLAS --out results/volumes

`--data` is a folder of annotated scans, such as those of the MICCAI 2012 multi-atlas challenge (`*_SS.nii.gz` with
`*_glm.nii.gz`). The default structures are its brain stem, hippocampi, lateral ventricles, putamina and thalami.
`:weights=FILE` evaluates other weights, `labels=all` all structures, `subjects=2` two scans.

Work: about 12 s to align each scan, then 17 s a structure for the network at N = 8, 6 s at N = 1, and 8 s an example
for the deformation of the baseline. Measured: `docs/results/predict_volumes.md`.
"""

from pathlib import Path

from experiments.common.command_builder import report
from neuralizer_jax.cli.experiment_file import run_file
from neuralizer_jax.experiment_commands import Command, shown_path


def get_commands(
    out: Path, data: Path, weights: str = "small", labels: str = "35 47 48 51 52 57 58 59 60", subjects: int = 0
) -> list[Command]:
    """The commands."""
    chosen = [] if labels == "all" else ["--labels", *labels.split()]
    some = ["--subjects", str(subjects)] if subjects else []
    evaluate = (
        "evaluate",
        "--volumes",
        shown_path(data),
        "--weights",
        weights,
        "--untrained",
        *chosen,
        *some,
        "--out",
        shown_path(out),
    )
    return [Command(evaluate, out / "scores.csv"), report(out)]


if __name__ == "__main__":
    run_file("experiment", __file__)
