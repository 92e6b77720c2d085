"""A run ends where it has to, leaves behind what it promises, and loses nothing when it is stopped at any moment."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from training_child import TASKS, batch, run

from neuralizer_jax import load_weights
from neuralizer_jax.errors import InputError
from neuralizer_jax.forward import forward
from neuralizer_jax.hardware import device_names
from neuralizer_jax.training.metrics_log import read_metrics

CHILD = Path(__file__).parents[1].joinpath("training_child.py")


def start(folder, *arguments, devices=1):
    """A run in a process of its own; the small programs of an earlier one are reused too."""
    environment = os.environ | {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    command = [sys.executable, str(CHILD), str(folder), *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return out.strip(), error


def parameters(folder):
    """Of the newest checkpoint."""
    return load_weights(folder / "checkpoints")[1]


def assert_equal(one, other, **tolerance):
    for mine, theirs in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(mine, theirs, **({"rtol": 0, "atol": 0} | tolerance))


def wait_for(condition, process):
    for _ in range(3000):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise TimeoutError


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder and summary of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, run(folder)


class TestWhatIsLeft:
    def test_summary(self, whole):
        folder, summary = whole
        assert summary == json.loads((folder / "summary.json").read_text())
        assert summary["ended"] == "steps"
        assert summary["step"] == 24
        assert summary["best_step"] in (8, 16, 24)

    def test_scalars(self, whole):
        metrics = read_metrics(whole[0] / "metrics.csv")
        assert metrics["train/loss"][0].tolist() == [4, 8, 12, 16, 20, 24]
        assert metrics["validation/loss"][0].tolist() == [8, 16, 24]
        assert np.all(metrics["train/learning_rate"][1] == np.float32(1e-2))
        for name in ("train/loss/invert", "train/gradient_norm", "train/images_per_second", "train/data_wait"):
            assert np.isfinite(metrics[name][1]).all()
        assert "validation/dice/outline/N=2" in metrics
        assert "validation/psnr/copy/N=1" in metrics

    def test_it_learns(self, whole):
        losses = read_metrics(whole[0] / "metrics.csv")["validation/loss"][1]
        assert losses[-1] < losses[0]

    def test_best_weights_are_those_of_the_best_step(self, whole):
        folder, summary = whole
        model, params = load_weights(folder / "best.safetensors")
        at_best = load_weights(folder / "checkpoints" / str(summary["best_step"]))[1]
        assert_equal(params, at_best)
        episode = batch(0)
        assert forward(model, params, episode).shape == episode["target_out"].shape

    def test_pictures(self, whole):
        folder, _ = whole
        assert sorted(path.name for path in (folder / "pictures").iterdir()) == [
            f"step_{step:08d}.png" for step in (8, 16, 24)
        ]
        assert (folder / "curves.png").stat().st_size > 10_000
        assert list((folder / "tensorboard").iterdir())

    def test_running_it_again_changes_nothing(self, whole):
        before = parameters(whole[0])
        again = run(whole[0])
        assert again["step"] == 24
        assert 0 < again["seconds"] <= whole[1]["seconds"]
        assert sum(again["devices"].values()) == pytest.approx(again["seconds"], abs=0.1)
        assert_equal(parameters(whole[0]), before)


class TestStopped:
    def test_killed_again_and_again_it_ends_the_same(self, whole, tmp_path, capfd):
        folder = tmp_path / "killed"
        for checkpoint in (4, 20):
            process = start(folder, "slow=0.1")
            wait_for(lambda step=checkpoint: (folder / "checkpoints" / str(step) / "meta").exists(), process)
            process.kill()
            process.communicate()
        summary = run(folder)
        assert summary["ended"] == "steps"
        assert "going on from step" in capfd.readouterr().err
        assert_equal(parameters(folder), parameters(whole[0]))
        assert summary["best_step"] == whole[1]["best_step"]
        assert summary["seconds"] > 24 * 0.1 / 2  # of all three runs; the last one was not slowed down
        assert summary["devices"] == {device_names(): pytest.approx(summary["seconds"], abs=0.1)}
        mine, theirs = (read_metrics(path / "metrics.csv") for path in (folder, whole[0]))
        for name in ("train/loss", "validation/loss"):
            np.testing.assert_array_equal(mine[name][0], theirs[name][0])
        np.testing.assert_array_equal(mine["validation/loss"][1], theirs["validation/loss"][1])

    def test_asked_to_stop_it_saves_and_ends(self, whole, tmp_path):
        folder = tmp_path / "asked"
        process = start(folder, "slow=0.1", "checkpoint.every=1000", "validation.every=8")
        wait_for(lambda: (folder / "checkpoints" / "8").exists(), process)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        out, _ = finish(process)
        assert out == "SIGTERM"
        step = json.loads((folder / "summary.json").read_text())["step"]
        assert 8 <= step < 24
        assert (folder / "checkpoints" / str(step)).exists()
        run(folder, **{"checkpoint.every": 1000})
        assert_equal(parameters(folder), parameters(whole[0]))

    def test_a_damaged_checkpoint_is_passed_over(self, whole, tmp_path, capfd):
        folder = tmp_path / "damaged"
        process = start(folder, "slow=0.1")
        wait_for(lambda: (folder / "checkpoints" / "12" / "meta").exists(), process)
        process.send_signal(signal.SIGINT)
        out, _ = finish(process)
        assert out == "SIGINT"
        newest = max(int(path.name) for path in (folder / "checkpoints").iterdir() if path.name.isdigit())
        for data in (folder / "checkpoints" / str(newest) / "state").rglob("*"):
            if data.is_file():
                data.write_bytes(data.read_bytes()[:-20])
        run(folder)
        assert f"{newest}: damaged checkpoint" in capfd.readouterr().err
        assert_equal(parameters(folder), parameters(whole[0]))

    def test_it_goes_on_with_other_devices(self, whole, tmp_path):
        folder = tmp_path / "devices"
        process = start(folder, "slow=0.1", devices=2)
        wait_for(lambda: (folder / "checkpoints" / "8" / "meta").exists(), process)
        process.kill()
        process.communicate()
        finish(start(folder, "parallel.mode=pmap", devices=2))
        assert_equal(parameters(folder), parameters(whole[0]), rtol=0, atol=1e-4)


class TestEnds:
    def test_early(self, tmp_path):
        # So high a learning rate that nothing gets better any more.
        summary = run(tmp_path, **{"train.learning_rate": 1e-9, "validation.every": 2, "validation.patience": 2})
        assert summary["ended"] == "early stopping"
        assert summary["step"] < 24
        losses = read_metrics(tmp_path / "metrics.csv")["validation/loss"][1]
        assert losses.argmin() == len(losses) - 3
        assert summary["best_loss"] == losses.min()

    def test_without_validation(self, tmp_path):
        summary = run(tmp_path, **{"validation.every": 0, "train.steps": 4})
        assert (summary["ended"], summary["step"], summary["best_loss"]) == ("steps", 4, None)
        assert not any(name.startswith("validation") for name in read_metrics(tmp_path / "metrics.csv"))
        assert (tmp_path / "checkpoints/4").exists()

    def test_where_a_loss_is_not_finite(self, tmp_path):
        at = 10
        tasks = sorted({TASKS[batch(at)["task"][1]]})
        with pytest.raises(InputError) as error:
            run(tmp_path, poison=at)
        assert f"the loss of step {at + 1} is not finite (tasks {tasks[0]})" in str(error.value)
        assert "\n" not in str(error.value)
        assert (tmp_path / "checkpoints" / str(at)).exists()
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(parameters(tmp_path)))
        # Put right, it goes on.
        assert run(tmp_path)["step"] == 24

    def test_with_settings_that_mean_nothing(self, tmp_path):
        with pytest.raises(InputError, match=r"log\.every: 0, expected 1 or more"):
            run(tmp_path, **{"log.every": 0})
