"""A whole experiment: its commands are run once each, in order, and interrupted it goes on."""

import argparse
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from input_pipeline.episodes.config import check_config
from input_pipeline.ops.tasks import TASKS
from input_pipeline.space.protocols import SEGMENTATION_CLASSES
from neuralizer_jax.cli import evaluate, evaluate_volumes, prepare, report, runtime, train
from neuralizer_jax.cli.main import main
from neuralizer_jax.errors import InputError
from neuralizer_jax.experiment_commands import DONE_FILE, Command, run_commands
from neuralizer_jax.experiment_config import change_config, load_commands, load_config
from neuralizer_jax.report import items as report_items

FOLDER = Path(__file__).parents[2] / "experiments"
SCALES = ("smoke", "heldout", "labelmaps", "full")
EXPERIMENTS = ("experiment1", "experiment2", "experiment3", "runtime", "ablations", "paper")

# Stands for `neuralizer`: `write FILE` notes that it ran, `fail`, `nothing`, `wait FILE` until it is told to stop.
COMMAND = """
import signal, sys, time
from pathlib import Path
what, *paths = sys.argv[1:]
if what == "wait":
    def stop(number, frame):
        Path(paths[0] + ".saved").write_text(str(number))
        sys.exit(0)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    Path(paths[0] + ".began").touch()
    time.sleep(60)
for path in paths:
    with open(path, "a") as file:
        file.write("ran ")
sys.exit(3 if what == "fail" else 0)
"""


@pytest.fixture
def program(tmp_path):
    script = tmp_path / "command.py"
    script.write_text(COMMAND)
    return sys.executable, str(script)


def command(tmp_path, what, name):
    return Command((what, str(tmp_path / name)), tmp_path / name)


def test_each_command_is_run_once(program, tmp_path, capsys):
    commands = [command(tmp_path, "write", name) for name in ("a", "b", "a")]
    run_commands(commands, tmp_path / "out", program)
    run_commands(commands, tmp_path / "out", program)
    assert [(tmp_path / name).read_text() for name in "ab"] == ["ran ", "ran "]
    assert capsys.readouterr().out.count("done before") == 2
    assert set(json.loads((tmp_path / "out" / DONE_FILE).read_text())) == {one.line for one in commands}


def test_what_is_missing_is_made_again(program, tmp_path):
    commands = [command(tmp_path, "write", name) for name in "ab"]
    run_commands(commands, tmp_path / "out", program)
    (tmp_path / "a").unlink()
    run_commands(commands, tmp_path / "out", program)
    assert [(tmp_path / name).read_text() for name in "ab"] == ["ran ", "ran "]


def test_what_depends_on_more_is_run_each_time(program, tmp_path):
    once = command(tmp_path, "write", "a")
    for _ in range(2):
        run_commands([Command(once.arguments, once.makes, always=True)], tmp_path / "out", program)
    assert (tmp_path / "a").read_text() == "ran ran "


def test_a_failure_ends_it_and_is_run_again(program, tmp_path):
    commands = [command(tmp_path, "write", "a"), command(tmp_path, "fail", "b"), command(tmp_path, "write", "c")]
    for times in (1, 2):
        with pytest.raises(InputError, match="failed with status 3") as error:
            run_commands(commands, tmp_path / "out", program)
        assert "\n" not in str(error.value)
        assert (tmp_path / "a").read_text() == "ran "
        assert (tmp_path / "b").read_text() == "ran " * times
        assert not (tmp_path / "c").exists()


def test_a_command_that_makes_nothing_has_not_worked(program, tmp_path):
    with pytest.raises(InputError, match="made no"):
        run_commands([Command(("nothing",), tmp_path / "a")], tmp_path / "out", program)


def test_a_damaged_list_of_commands(program, tmp_path):
    (tmp_path / DONE_FILE).write_text("[1]")
    with pytest.raises(InputError, match="damaged"):
        run_commands([command(tmp_path, "write", "a")], tmp_path, program)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_command_and_ends_the_experiment(program, tmp_path, number):
    driver = tmp_path / "driver.py"
    driver.write_text(
        textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from neuralizer_jax.experiment_commands import Command, Stopped, run_commands
        folder = Path({str(tmp_path)!r})
        commands = [
            Command(("wait", str(folder / "a")), folder / "a.began"),
            Command(("write", str(folder / "b")), folder / "b"),
        ]
        try:
            run_commands(commands, folder / "out", {program!r})
        except Stopped as stopped:
            sys.exit(128 + stopped.args[0])
        """)
    )
    process = subprocess.Popen([sys.executable, driver], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    deadline = time.monotonic() + 60
    while not (tmp_path / "a.began").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    # The command saved its state once, what follows was not run, and the command is not taken for done.
    assert (tmp_path / "a.saved").read_text() == str(int(number))
    assert not (tmp_path / "b").exists()
    assert not (tmp_path / "out" / DONE_FILE).exists()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_commands_of_an_experiment(experiment, scale, tmp_path, monkeypatch):
    commands = load_commands(f"{FOLDER / experiment}.py:scale={scale}", tmp_path, tmp_path / "data")
    assert commands[-1].arguments == ("report", str(tmp_path))
    taken = []
    for module in (prepare, train, evaluate, runtime, report):
        monkeypatch.setattr(module, "run", taken.append)
    made, workdirs = set(), {}
    for each in commands:
        assert main(each.arguments) == 0
        options = taken.pop()
        if each.arguments[0] in ("train", "evaluate"):
            config = load_config(options.config)
            change_config(config, options.changes)
        if each.arguments[0] == "train":
            # A folder has one training, and what is made there is what comes after works with.
            assert workdirs.setdefault(options.workdir, each.line) == each.line
            assert each.makes == options.workdir / "best.safetensors"
            made.add(str(each.makes))
        if each.arguments[0] in ("evaluate", "runtime"):
            assert {weights.partition("=")[2] for weights in options.weights} <= made
        if each.arguments[0] == "evaluate":
            shown = (report_items.BASELINES, report_items.MODALITIES, report_items.SIZES)
            assert options.experiment in (*shown, report_items.PROTOCOL, report_items.ABLATIONS)


def test_commands_of_the_evaluation_of_trained_weights(tmp_path, monkeypatch):
    """Of data that the training did not see, under names that the report knows, each dataset in a folder of its own."""
    arguments = f"weights={tmp_path / 'best.safetensors'},maps=3,scans=4,regions=2"
    experiment = f"{FOLDER / 'pretrained_evaluation.py'}:{arguments}"
    *commands, last = load_commands(experiment, tmp_path / "out", tmp_path / "data")
    assert last.arguments[0] == "card"
    trained_on = load_config(FOLDER / "pretrained.py").data
    taken = []
    for module in (evaluate, report):
        monkeypatch.setattr(module, "run", taken.append)
    evaluated = set()
    for each in commands:
        assert main(each.arguments) == 0
        options = taken.pop()
        if each.arguments[0] == "report":
            assert options.folder in evaluated
            continue
        evaluated.add(options.out)
        assert each.makes == options.out / "scores.csv"
        known = (report_items.BASELINES, report_items.PROTOCOL, report_items.ABLATIONS, report_items.PLANES)
        assert options.experiment in known
        assert {weights.partition("=")[2] for weights in options.weights} == {str(tmp_path / "best.safetensors")}
        config = load_config(options.config)
        config.data.datasets = tuple(options.data)
        change_config(config, options.changes)
        check_config(config.data)
        classes = [name.split(":") for name in config.data.only.classes]
        assert all(int(label) in SEGMENTATION_CLASSES[protocol] for protocol, label in classes)
        assert set(config.data.only.tasks) <= set(TASKS)
        trained = {Path(name).name for name in trained_on.datasets} & {Path(name).name for name in options.data}
        assert not trained or options.split not in trained_on.split.split("+")
    assert len(evaluated) == 2
    assert {each.makes.parent.parent for each in commands if each.arguments[0] == "report"} == evaluated


def test_commands_for_scans_of_others(tmp_path, monkeypatch):
    """Every scan of the user's is a target, and no one but other people is in a context."""
    file = f"{FOLDER / 'pretrained_others.py'}:weights={tmp_path / 'a.safetensors'}"
    *evaluations, last = load_commands(file, tmp_path / "out", tmp_path / "data")
    assert last.arguments == ("report", str(tmp_path / "out"))
    taken = []
    monkeypatch.setattr(evaluate, "run", taken.append)
    for each in evaluations:
        assert main(each.arguments) == 0
        options = taken[-1]
        assert options.split == options.context_split == "all"
        assert options.data == [str(tmp_path / "data/bids")]
        config = load_config(options.config)
        config.data.datasets = tuple(options.data)
        change_config(config, options.changes)
        check_config(config.data)
        assert set(config.data.only.tasks) <= set(TASKS)
    contexts = [(options.experiment, options.context_modality, options.context_data) for options in taken]
    assert contexts == [
        (report_items.BASELINES, "same", [str(tmp_path / "data/multiatlas2012")]),
        (report_items.ABLATIONS, "other", [str(tmp_path / "data/labelmaps")]),
    ]


def test_unets_are_trained_on_the_subjects_of_the_context(tmp_path, monkeypatch):
    file = f"{FOLDER / 'pretrained_unets.py'}:weights={tmp_path / 'a.safetensors'},steps=30,features=8"
    *commands, last = load_commands(file, tmp_path / "out", tmp_path / "data")
    assert last.arguments[0] == "report"
    taken = []
    for module in (train, evaluate):
        monkeypatch.setattr(module, "run", taken.append)
    trained, tasks = [], []
    for command in commands:
        assert main(command.arguments) == 0
        options = taken[-1]
        config = load_config(options.config)
        config.data.datasets = tuple(options.data)
        change_config(config, options.changes)
        check_config(config.data)
        if command.arguments[0] == "train":
            trained.append((config, command.makes))
            continue
        of_structure = config.data.only.tasks == ("segmentation",)
        subjects = (1, 8) if of_structure else (8,)
        assert [unet.data.subjects.number for unet, _ in trained] == [*subjects]
        for unet, _ in trained:
            number = 30 if of_structure else 60
            assert unet.model.architecture == "unet"
            assert (unet.train.steps, unet.validation.every, unet.model.features) == (number, number, 8)
            assert unet.data.split == options.context_split
            assert unet.data.only == config.data.only
        assert options.split == "test"
        assert set(subjects) <= set(options.sizes)
        names = [f"Baseline-seen@{number}={its[1]}" for number, its in zip(subjects, trained, strict=True)]
        assert options.weights[1:] == names
        tasks.append((*config.data.only.tasks, *config.data.only.classes))
        trained = []
    assert len(set(tasks)) == 12
    assert sum(task == "segmentation" for task, *_ in tasks) == 7


def test_another_dataset_is_not_asked_for_the_modalities_of_the_scale(tmp_path):
    commands = load_commands(f"{FOLDER / 'experiment3'}.py:scale=labelmaps", tmp_path, tmp_path / "data")
    lines = [command.line for command in commands if command.arguments[0] == "evaluate"]
    assert len(lines) == 12
    for line in lines:
        assert "data/multiatlas2012" in line
        assert "--context-split all" in line
        assert "only.classes=neuromorphometrics:" in line
        assert "only.modalities" not in line


def test_an_experiment_is_listed(tmp_path, capsys):
    config = f"{FOLDER / 'experiment2.py'}:scale=smoke"
    assert main(["experiment", "--config", config, "--out", str(tmp_path / "out"), "--list"]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == [
        "prepare",
        "train",
        "evaluate",
        "report",
    ]
    assert not (tmp_path / "out").exists()


def test_nobody_reads_the_list_to_its_end(tmp_path):
    config = f"{FOLDER / 'paper.py'}:scale=full"  # more than a pipe holds
    command = [sys.executable, "-m", "neuralizer_jax", "experiment", "--config", config, "--out", "out", "--list"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), error) == (141, "")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("paper.py:scale=huge", "scale=huge: unknown, expected smoke, labelmaps, heldout, full"),
        ("paper.py:out=here", "argument 'out=here' is unknown, expected scale=..."),
        ("smoke.py", "has no get_commands()"),
    ],
)
def test_wrong_experiments_end_in_one_line(config, expected, tmp_path, capsys):
    assert main(["experiment", "--config", str(FOLDER / config), "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1


def test_whole_scans(tmp_path):
    """The command line takes the command, and `labels=all` leaves the structures to the scans."""
    parser = argparse.ArgumentParser()
    evaluate.add_parser(parser.add_subparsers())
    for arguments, labels in (("subjects=2", [35, 47, 48, 51, 52, 57, 58, 59, 60]), ("labels=all", None)):
        command, last = load_commands(f"{FOLDER / 'volumes'}.py:{arguments}", tmp_path, tmp_path / "scans")
        options = parser.parse_args(command.arguments)
        options.changes = []
        evaluate_volumes.check_options(options)
        assert options.volumes.resolve() == tmp_path / "scans"
        assert options.labels == (labels and [[label] for label in labels])
        assert options.sizes == (1, 8)
        assert last.arguments[0] == "report"
