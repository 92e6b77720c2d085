"""The commands that whole experiments are made of: prepare, train, evaluate, runtime, report."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.common.scales import scale_named
from neuralizer_jax.experiment_commands import Command, shown_path


class CommandBuilder:
    """Builds the commands of an experiment for one folder and one scale."""

    def __init__(self, out: Path, data: Path, scale: str):
        """Args: folder of the experiment, folder of prepared datasets, one of `scales.SCALES`."""
        self.out, self.data, self.name = out, data, scale
        self.scale = scale_named(scale)

    def prepare(self) -> list[Command]:
        """Prepares the phantom dataset if the scale uses it; the other datasets must be there already."""
        command = ("prepare", "phantom", "--out", shown_path(self.data))
        return [Command(command, self.data / "phantom")] if "phantom" in self.scale.datasets else []

    def train(self, run: str, experiment: str, changes: Mapping[str, str] | None = None, dataset: str = "") -> Command:
        """Trains the network of an experiment.

        Args:
            run: name of the run's folder.
            experiment: `NAME` or `NAME:ARGUMENTS`, without the scale.
            changes: values of its configuration, by key.
            dataset: to train on; empty: those of the scale.
        """
        workdir = self.out / "runs" / run
        command = ("train", "--config", self._config(experiment), "--workdir", shown_path(workdir))
        return Command((*command, *self._data(dataset), *flags(changes or {})), workdir / "best.safetensors")

    def baselines(
        self,
        cell: Mapping[str, str],
        subjects: Mapping[int, int],
        changes: Mapping[str, str] | None = None,
        dataset: str = "",
    ) -> dict[str, Command]:
        """Trains the U-Nets of a cell of the table: `subjects[n]` repeats with n training subjects each.

        Returns:
            The trainings by model name, as `neuralizer evaluate --weights` takes it.
        """
        named = {}
        for number, repeats in subjects.items():
            for repeat in range(repeats):
                arguments = {**cell, "subjects": str(number), "repeat": str(repeat)}
                run = "_".join(["unet", *arguments.values()]).replace(":", "")
                name = f"Baseline-seen@{number or 'all'}" + (f"#{repeat}" if repeat else "")
                named[name] = self.train(run, with_arguments("baseline_unet", arguments), changes, dataset)
        return named

    def evaluate(
        self,
        experiment: str,
        models: Mapping[str, Command],
        only: Mapping[str, Sequence[str]] | None = None,
        options: Sequence[str] = (),
        dataset: str = "",
    ) -> Command:
        """Scores trained models.

        Args:
            experiment: its name in the table of scores.
            models: trainings by model name.
            only: names of the tasks, classes or modalities to evaluate; by default those of the scale, on its datasets.
            options: further options of `neuralizer evaluate`.
            dataset: to evaluate on; empty: those of the scale.
        """
        of_scale = {"classes": self.scale.classes, "modalities": self.scale.modalities}
        only = {**({} if dataset else of_scale), **(only or {})}
        command = (
            *("evaluate", "--config", self._config("neuralizer_seen"), "--experiment", experiment),
            *(*_weights(models), "--out", shown_path(self.out), *self._data(dataset)),
            *("--sizes", *map(str, self.scale.sizes), *self.scale.cases, *options),
            *flags({f"data.only.{kind}": ",".join(names) for kind, names in only.items() if names}),
        )
        return Command(command, self.out / "scores.csv")

    def runtime(self, models: Mapping[str, Command], size: int = 192) -> Command:
        """Measures size and time of trained models."""
        command = ("runtime", *_weights(models), "--sizes", *map(str, self.scale.sizes), "--size", str(size))
        return Command((*command, "--out", shown_path(self.out)), self.out / "runtime.json")

    def report(self) -> Command:
        """Writes figures, tables and the page."""
        return report(self.out)

    def _config(self, experiment: str) -> str:
        return f"{experiment}{',' if ':' in experiment else ':'}scale={self.name}"

    def _data(self, dataset: str) -> tuple[str, ...]:
        names = [dataset] if dataset else self.scale.datasets
        return ("--data", *(shown_path(self.data / name) for name in names))


def report(folder: Path) -> Command:
    """Writes the report of a folder of scores."""
    return Command(("report", shown_path(folder)), folder / "report/index.html", always=True)


def with_arguments(experiment: str, arguments: Mapping[str, object]) -> str:
    """`NAME:KEY=VALUE,...`."""
    return f"{experiment}:{','.join(f'{name}={value}' for name, value in arguments.items())}"


def flags(changes: Mapping[str, object]) -> list[str]:
    """`--config.KEY=VALUE` for each value."""
    return [f"--config.{key}={value}" for key, value in changes.items()]


def _weights(models: Mapping[str, Command]) -> list[str]:
    return ["--weights", *(f"{name}={shown_path(training.makes)}" for name, training in models.items())]
