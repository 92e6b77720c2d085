"""The commands that whole experiments consist of."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import scales

from neuralizer_jax.cli.experiment import run_steps_of
from neuralizer_jax.experiment_commands import Step, shown_path

__all__ = ["Commands", "run_steps_of"]

_HERE = Path(__file__).parent


class Commands:
    """Makes the commands of an experiment, in its folder and at its scale."""

    def __init__(self, out: Path, data: Path, scale: str):
        """Args: folder of the experiment, folder of prepared datasets, one of `scales.SCALES`."""
        self.out, self.data, self.name = out, data, scale
        self.scale = scales.scale_named(scale)

    def prepare(self) -> list[Step]:
        """The datasets that are made of nothing; the others are there."""
        phantom = self.data / "phantom"
        command = ("prepare", "phantom", "--out", shown_path(self.data))
        return [Step(command, phantom)] if "phantom" in self.scale.datasets else []

    def train(self, run: str, file: str, changes: Mapping[str, str] | None = None, dataset: str = "") -> Step:
        """Trains an experiment file.

        Args:
            run: name of the run's folder.
            file: of `experiments/`, with arguments but the scale.
            changes: of its configuration.
            dataset: to train on; empty: the scale's.
        """
        workdir = self.out / "runs" / run
        command = ("train", "--config", self._config(file), "--workdir", shown_path(workdir), *self._data(dataset))
        return Step((*command, *_changes(changes or {})), workdir / "best.safetensors")

    def baselines(
        self,
        cell: Mapping[str, str],
        subjects: Mapping[int, int],
        changes: Mapping[str, str] | None = None,
        dataset: str = "",
    ) -> dict[str, Step]:
        """Trains U-Nets for a cell, so many for each number of subjects; by their names in the table of scores."""
        named = {}
        for number, repeats in subjects.items():
            for repeat in range(repeats):
                arguments = cell | {"subjects": str(number), "repeat": str(repeat)}
                run = "_".join(["unet", *arguments.values()]).replace(":", "")
                file = f"baseline_unet.py:{','.join(f'{name}={value}' for name, value in arguments.items())}"
                # All of them is more than the largest context.
                name = f"Baseline-seen@{number or 1000}" + (f"#{repeat}" if repeat else "")
                named[name] = self.train(run, file, changes, dataset)
        return named

    def evaluate(
        self,
        experiment: str,
        models: Mapping[str, Step],
        only: Mapping[str, Sequence[str]] | None = None,
        options: Sequence[str] = (),
        dataset: str = "",
    ) -> Step:
        """Scores trained models, all of an experiment with the same configuration.

        Args:
            experiment: in the table.
            models: their trainings, by their names in the table.
            only: what is evaluated: names of each kind; of those not named the scale's, of its own datasets.
            options: more of them.
            dataset: to evaluate on; empty: the scale's.
        """
        scores = self.out / "scores.csv"
        weights = [f"{name}={shown_path(step.makes)}" for name, step in models.items()]
        of_scale = {"classes": self.scale.classes, "modalities": self.scale.modalities}
        only = ({} if dataset else of_scale) | dict(only or {})
        command = (
            *("evaluate", "--config", self._config("neuralizer_seen.py"), "--experiment", experiment),
            *("--weights", *weights, "--out", shown_path(self.out), *self._data(dataset)),
            *("--sizes", *map(str, self.scale.sizes), *self.scale.cases, *options),
            *_changes({f"data.only.{kind}": ",".join(names) for kind, names in only.items() if names}),
        )
        return Step(command, scores)

    def runtime(self, models: Mapping[str, Step], size: int = 192) -> Step:
        """Measures size and time of trained models."""
        weights = [f"{name}={shown_path(step.makes)}" for name, step in models.items()]
        sizes = map(str, self.scale.sizes)
        command = ("runtime", "--weights", *weights, "--sizes", *sizes, "--size", str(size))
        return Step((*command, "--out", shown_path(self.out)), self.out / "runtime.json")

    def report(self) -> Step:
        """Makes figures, tables and the page."""
        return Step(("report", shown_path(self.out)), self.out / "report/index.html", always=True)

    def _config(self, file: str) -> str:
        name, _, arguments = file.partition(":")
        scale = f"scale={self.name}"
        return f"{shown_path(_HERE / name)}:{f'{arguments},' if arguments else ''}{scale}"

    def _data(self, dataset: str) -> tuple[str, ...]:
        names = [dataset] if dataset else self.scale.datasets
        return ("--data", *(shown_path(self.data / name) for name in names))


def _changes(changes: Mapping[str, str]) -> list[str]:
    return [f"--config.{key}={value}" for key, value in changes.items()]
