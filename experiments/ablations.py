"""Ablations: without task augmentations; resampled and moved contexts; contexts of other modalities than the target's.

neuralizer experiment --config experiments/ablations.py:scale=smoke --out results/smoke
"""

from pathlib import Path

from commands import Commands, run_steps_of

from neuralizer_jax.experiment_commands import Step


def get_steps(out: Path, data: Path, scale: str = "smoke") -> list[Step]:
    """The commands."""
    commands = Commands(out, data, scale)
    seen = commands.train("seen", "neuralizer_seen.py")
    plain = commands.train("no_task_augmentation", "no_task_augmentation.py")

    def evaluated(models: dict[str, Step], *options: str) -> Step:
        more = ("--sizes", str(max(commands.scale.sizes)), *commands.scale.ablations, *options)
        return commands.evaluate("ablations", models, options=more)

    return [
        *commands.prepare(),
        seen,
        plain,
        evaluated({"Neuralizer-seen": seen, "No task augmentation": plain}),
        evaluated({"Bootstrapped context": seen}, "--bootstrap", "4"),
        evaluated({"Bootstrapped, moved context": seen}, "--bootstrap", "4", "--augment"),
        evaluated({"Context of other modalities": seen}, "--context-modality", "other"),
        commands.report(),
    ]


if __name__ == "__main__":
    run_steps_of(__file__)
