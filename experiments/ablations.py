"""Ablations: no task augmentations; resampled and moved contexts; contexts of another modality than the target's.

    neuralizer experiment --config experiments/ablations.py:scale=smoke --out results/smoke

Expected: `benchmarks/results/experiments.md`.
"""

from pathlib import Path

from experiments.common.command_builder import CommandBuilder
from neuralizer_jax.cli.experiment_file import run_file
from neuralizer_jax.experiment_commands import Command


def get_commands(out: Path, data: Path, scale: str = "smoke") -> list[Command]:
    """The commands."""
    build = CommandBuilder(out, data, scale)
    seen = build.train("seen", "neuralizer_seen")
    plain = build.train("no_task_augmentation", "no_task_augmentation")

    def evaluate(models: dict[str, Command], *options: str) -> Command:
        more = ("--sizes", str(max(build.scale.sizes)), *build.scale.ablations, *options)
        return build.evaluate("ablations", models, options=more)

    return [
        *build.prepare(),
        seen,
        plain,
        evaluate({"Neuralizer-seen": seen, "No task augmentation": plain}),
        evaluate({"Bootstrapped context": seen}, "--bootstrap", "4"),
        evaluate({"Bootstrapped, moved context": seen}, "--bootstrap", "4", "--augment"),
        evaluate({"Context of other modalities": seen}, "--context-modality", "other"),
        build.report(),
    ]


if __name__ == "__main__":
    run_file("experiment", __file__)
