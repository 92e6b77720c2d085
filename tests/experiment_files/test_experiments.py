"""Every experiment file gives a configuration that works, and no key of it is there for nothing."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from fake_collection import write_datasets
from fake_volumes import write_fake_volumes
from ml_collections import ConfigDict

from input_pipeline.episodes import batches as episode_stream
from input_pipeline.episodes.batches import EpisodeStream
from input_pipeline.episodes.config import check_config
from input_pipeline.store.table import open_collection
from neuralizer_jax.cli import card
from neuralizer_jax.cli.main import main
from neuralizer_jax.errors import InputError
from neuralizer_jax.experiment_config import load_commands, load_config
from neuralizer_jax.training.parallel import compile_steps
from neuralizer_jax.training.state import create_state
from neuralizer_jax.weights import load_weights

FOLDER = Path(__file__).parents[2] / "experiments"
ARGUMENTS = {
    "neuralizer_unseen": ":tasks=inpainting+denoising,modalities=T1",
    "baseline_unet": ":task=denoising,subjects=4",
}
EXPERIMENTS = [
    f"{path}{ARGUMENTS.get(path.stem, '')}"
    for path in sorted(FOLDER.glob("*.py"))
    if "def get_config(" in path.read_text()
]
DATA = ("heads", "regions")
TINY = {
    "model.features": 2,
    "model.stages": 2,
    "train.steps": 2,
    "train.batch_size": 2,
    "train.warmup_steps": 1,
    "validation.episodes": 1,
    "log.every": 1,
    "data.size": 16,
    "data.context.max": 2,
    "data.classes.min_pixels": 12,
    "data.only.tasks": ("modality_transfer", "segmentation"),
}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    return write_datasets(tmp_path_factory.mktemp("datasets"), ["train", "val"])


@pytest.fixture(autouse=True)
def _beside_the_datasets(monkeypatch, datasets):
    monkeypatch.chdir(datasets)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_experiment(experiment):
    config = load_config(experiment)
    if not config.data.datasets:
        config.data.datasets = ("data/phantom",)
    check_config(config.data)
    compile_steps(config.parallel)
    create_state(config, jax.random.key(0))
    assert config.is_locked
    # The docstring says how it is run.
    path = experiment.partition(".py:")[0].removesuffix(".py") + ".py"
    assert (
        f"neuralizer train --config experiments/{Path(path).name}" in Path(path).read_text()
        or Path(path).stem == "base"
    )


def test_seed_and_batch_size_are_one():
    config = load_config(FOLDER / "base.py")
    config.seed, config.train.batch_size = 7, 3
    assert (config.data.seed, config.data.batch_size) == (7, 3)


@pytest.mark.parametrize(
    "experiment", ["neuralizer_seen", "neuralizer_unseen", "baseline_unet", "no_task_augmentation"]
)
def test_a_scale_changes_all_experiments_alike(experiment):
    arguments = ARGUMENTS.get(experiment, "")
    full, smoke = (
        load_config(f"{FOLDER / experiment}.py{arguments}{',' if arguments else ':'}scale={scale}")
        for scale in ("full", "smoke")
    )
    assert (full.data.size, smoke.data.size) == (192, 64)
    assert (full.model.features, smoke.model.features) == (64, 16)
    assert (len(full.data.datasets), smoke.data.datasets) == (7, ("data/phantom",))
    # What makes it this experiment is the same.
    assert full.data.hold_out == smoke.data.hold_out
    assert full.data.context.min == smoke.data.context.min


def test_held_out_and_baseline():
    unseen = load_config(f"{FOLDER / 'neuralizer_unseen.py'}:tasks=inpainting+denoising,classes=freesurfer:17")
    assert unseen.data.hold_out.tasks == ("inpainting", "denoising")
    assert unseen.data.hold_out.classes == ("freesurfer:17",)
    small, whole = (load_config(f"{FOLDER / 'baseline_unet.py'}:subjects={n},repeat=2") for n in (4, 0))
    assert (small.model.features, whole.model.features) == (64, 256)
    assert (small.data.subjects.number, small.data.subjects.draw, small.seed) == (4, 2, 2)
    assert small.data.context.max == 0


@pytest.mark.parametrize(
    ("experiment", "expected"),
    [
        ("neuralizer_unseen.py", "holds out nothing"),
        (
            "neuralizer_unseen.py:task=denoising",
            "argument 'task=denoising' is unknown, expected tasks=..., modalities=",
        ),
        ("baseline_unet.py:subjects=many", "argument 'subjects=many', expected a value of type int"),
        ("smoke.py:steps=3", "argument 'steps=3' is unknown, expected none"),
        ("neuralizer_seen.py:scale=huge", "scale=huge: unknown, expected smoke, labelmaps, heldout, full"),
        ("pretrained.py:stage=last", "stage=last, expected crops, slices, decay"),
        ("pretrained_first.py:stage=2", "expected no argument for stage 1, init_from=FILE with stage=2 to 8"),
        ("missing.py", "does not exist"),
    ],
)
def test_wrong_arguments(experiment, expected):
    with pytest.raises(InputError) as error:
        load_config(f"{FOLDER}/{experiment}")
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_a_stage_of_the_recipe_starts_where_the_one_before_ends():
    commands = load_commands(FOLDER / "pretrained.py", Path("out"), Path("data"))
    trainings = [command for command in commands if command.arguments[0] == "train"]
    made = {str(command.makes) for command in trainings}
    starts = [load_config(command.arguments[2]).train.init_from for command in trainings]
    assert starts[0] == ""
    assert set(starts[1:]) < made
    longer = load_commands(f"{FOLDER / 'pretrained.py'}:crops=20000", Path("out"), Path("data"))
    folders = [
        [command.arguments[4] for command in its if command.arguments[0] == "train"] for its in (commands, longer)
    ]
    assert folders[0][0] == folders[1][0]  # goes on
    assert not set(folders[0][1:]) & set(folders[1][1:])  # begin anew


def test_the_recipe_goes_on_from_a_run_on_a_gpu():
    arguments = "small_from=out/runs/gpu-1/checkpoints,base_from=out/runs/gpu-2/checkpoints,slices=0"
    commands = load_commands(f"{FOLDER / 'pretrained.py'}:{arguments}", Path("out"), Path("data"))
    trainings = [command.line for command in commands if command.arguments[0] == "train"]
    assert ["stage=decay" in line for line in trainings] == [True, True]
    for line, run in zip(trainings, ("gpu-1", "gpu-2"), strict=True):
        assert f"init_from=out/runs/{run}/checkpoints " in line
        assert f"-after-{run}" in line


def test_the_recipe_ends_in_a_card_of_what_it_trained():
    commands = load_commands(f"{FOLDER / 'pretrained.py'}:scans=challenge", Path("out"), Path("data"))
    made = {str(command.makes) for command in commands}
    cards = [command for command in commands if command.arguments[0] == "card"]
    assert commands[-1] == cards[-1]
    parser = argparse.ArgumentParser()
    card.add_parser(parser.add_subparsers())
    for command in cards:
        options = parser.parse_args(command.arguments)
        assert {str(options.weights), f"{options.training}/checkpoints"} < made
        assert {f"{scores.partition('=')[2]}/scores.csv" for scores in options.scores} < made
        assert options.template.is_file()
    assert len(cards) == 2
    assert {f"data/{name}{kind}" for name in ("labelmaps", "multiatlas2012") for kind in ("", "-volumes")} < made


def test_the_recipe_on_a_gpu_has_larger_batches():
    one, eight = (load_config(f"{FOLDER / 'pretrained.py'}:stage=slices,batch={batch}") for batch in (1, 8))
    assert [crop[2] for crop in eight.data.crops] == [8 * crop[2] for crop in one.data.crops]
    assert (one.model.dtype, eight.model.dtype) == ("float32", "bfloat16")


def test_installed_experiments_have_names(tmp_path, monkeypatch):
    (tmp_path / "smoke.py").mkdir()  # no file
    monkeypatch.chdir(tmp_path)
    assert load_config("smoke").train.steps == 400
    assert load_config("neuralizer_seen:scale=smoke").data.size == 64
    with pytest.raises(InputError, match=r"none: does not exist, .* ablations, base, .* smoke, volumes$"):
        load_config("none")


def test_a_file_goes_before_an_installed_experiment(tmp_path, monkeypatch):
    (tmp_path / "smoke").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="smoke: not a Python file"):
        load_config("smoke")


def changes(**more):
    return [f"--config.{key}={value}" for key, value in (TINY | more).items()]


def test_the_command_trains(tmp_path, capsys):
    command = ["train", "--config", str(FOLDER / "base.py"), "--workdir", str(tmp_path / "run"), "--data", *DATA]
    assert main([*command, *changes()]) == 0
    out = capsys.readouterr().out
    assert "ended by steps after step 2" in out
    assert "best.safetensors" in out
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["train"]["batch_size"] == config["data"]["batch_size"] == 2
    model, _ = load_weights(tmp_path / "run/best.safetensors")
    assert model.features == 2
    # Another configuration in the same folder is refused, and what differs is shown.
    assert main([*command, *changes(**{"train.learning_rate": 0.5})]) == 2
    assert "train.learning_rate: 0.0001 in the folder, 0.5 now" in capsys.readouterr().err


def test_the_baseline_trains_without_context(tmp_path, capsys):
    config = f"{FOLDER / 'baseline_unet.py'}:task=modality_transfer,subjects=1"
    few = {key: value for key, value in TINY.items() if "context" not in key and "only" not in key}
    command = [
        "train",
        "--config",
        config,
        "--workdir",
        str(tmp_path),
        "--data",
        *DATA,
        "--config.model.dtype=bfloat16",
    ]
    assert main([*command, *(f"--config.{key}={value}" for key, value in few.items())]) == 0
    assert type(load_weights(tmp_path / "best.safetensors")[0]).__name__ == "UNet"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"data.size": 20, "model.stages": 4}, "data.size: 20, expected a multiple of 8 for 4 stages"),
        ({"data.context.min": 0}, "data.context.min: 0, expected at least 1 member"),
        ({"parallel.mode": "tpu"}, "parallel.mode: 'tpu', expected jit, pmap, mesh"),
        ({"model.architecture": "resnet"}, "architecture 'resnet', expected neuralizer or unet"),
        ({"train.decay": "linear"}, "train.decay: 'linear', expected constant or cosine"),
        ({"log.every": 0}, "log.every: 0, expected 1 or more"),
    ],
)
def test_wrong_settings_end_in_one_line(change, expected, tmp_path, capsys):
    command = ["train", "--config", str(FOLDER / "base.py"), "--workdir", str(tmp_path / "run"), "--data", *DATA]
    assert main([*command, *changes(**change)]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1


def test_out_of_memory_names_what_helps_training(tmp_path, capsys, monkeypatch):
    def train(*_):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 123 bytes")

    monkeypatch.setattr("neuralizer_jax.training.loop.train", train)
    command = ["train", "--config", "base", "--workdir", str(tmp_path / "run"), "--data", *DATA]
    assert main([*command, *changes()]) == 2
    assert "out of memory, try --config.train.accumulate=2" in capsys.readouterr().err


def test_a_file_runs_by_itself(tmp_path):
    command = [sys.executable, str(FOLDER / "baseline_unet.py"), ":task=denoising", "--workdir", str(tmp_path / "run")]
    done = subprocess.run([*command, "--data", str(tmp_path / "none")], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert str(tmp_path / "none") in done.stderr


def test_every_key_is_read(tmp_path, monkeypatch):
    config = load_config(FOLDER / "base.py")
    with config.unlocked():
        config.train.typo = 1
    config.data.datasets = DATA
    config.update_from_flattened_dict({key: value for key, value in TINY.items() if key != "data.only.tasks"})
    for augmentation in config.data.task_augmentations.values():
        augmentation.probability = 0.5
    reads = set()
    get = {method: getattr(ConfigDict, method) for method in ("__getattr__", "__getitem__")}

    def recording(method):
        def read(self, name):
            if "ml_collections" not in sys._getframe(1).f_code.co_filename:  # copying a config is not reading it
                reads.add((id(self), name))
            return get[method](self, name)

        return read

    for method in get:
        monkeypatch.setattr(ConfigDict, method, recording(method))
    monkeypatch.setattr(episode_stream, "check_config", lambda config: None)  # which reads all of it
    monkeypatch.setattr(
        "neuralizer_jax.cli.train._batches", lambda stream, step: (stream.slices(step) for _ in range(3))
    )
    config.data.apply = "device"
    for folders in ((str(write_fake_volumes(tmp_path)[0]),), DATA):
        config.data.datasets = folders
        stream = EpisodeStream(config.data, open_collection(folders, "train"))
        jax.eval_shape(stream.apply_on_device, stream.slices(0) | stream.stored)
    monkeypatch.setattr("neuralizer_jax.experiment_config.load_config", lambda experiment: config)
    command = ["train", "--config", "none.py", "--workdir", str(tmp_path), "--config.data.only.tasks=modality_transfer"]
    assert main(command) == 0

    def unread(part, path=""):
        for key in part.keys():  # noqa: SIM118 (a ConfigDict)
            value = dict.get(part._fields, key)
            if isinstance(value, ConfigDict):
                yield from unread(value, f"{path}{key}.")
            elif (id(part), key) not in reads:
                yield f"{path}{key}"

    # The batch size is read in its other place, `data`.
    assert list(unread(config)) == ["train.batch_size", "train.typo"]
