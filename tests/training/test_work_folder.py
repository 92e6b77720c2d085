"""The folder of a run: its configuration is kept and compared, and one run uses it at a time."""

import json
import signal
import subprocess
import sys
from functools import reduce
from operator import getitem

import pytest
from ml_collections import ConfigDict

from neuralizer_jax import InputError
from neuralizer_jax.training.work_folder import open_work_folder


def config_of(**changes):
    config = ConfigDict(
        {
            "seed": 0,
            "train": {"steps": 100, "batch_size": 8, "learning_rate": 1e-3, "decay": "constant", "accumulate": 1},
            "model": {"features": 64, "remat": False},
            "data": {"datasets": ("a", "b"), "apply": "host", "classes": {"min_pixels": 30}, "context": {"pad_to": 4}},
            "parallel": {"mode": "jit", "context": 1},
            "checkpoint": {"every": 1000, "keep": 2},
            "log": {"every": 50},
        }
    )
    config.update_from_flattened_dict(changes)
    return config


def open_once(folder, config, *, begun=True):
    """Opens the folder of a run, which then has a checkpoint."""
    with open_work_folder(folder, config) as opened:
        if begun:
            (opened / "checkpoints/10").mkdir(parents=True, exist_ok=True)
        return opened


def refusal(folder, config):
    with pytest.raises(InputError) as error:
        open_once(folder, config)
    assert "\n" not in str(error.value)
    return str(error.value)


class TestConfiguration:
    def test_is_written_and_stays(self, tmp_path):
        folder = tmp_path / "runs" / "first"
        assert open_once(folder, config_of()) == folder
        text = (folder / "config.json").read_text()
        written = json.loads(text)["data"]
        assert (written["apply"], written["classes"], written["datasets"]) == ("host", {"min_pixels": 30}, ["a", "b"])
        assert text.index('"checkpoint"') < text.index('"data"') < text.index('"train"')
        assert text.count("\n") > 20
        open_once(folder, config_of())  # tuples are lists in the file
        open_once(folder, config_of().to_dict())
        assert (folder / "config.json").read_text() == text

    def test_another_is_refused(self, tmp_path):
        open_once(tmp_path, config_of(**{"train.learning_rate": 1e-4}))
        text = (tmp_path / "config.json").read_text()
        expected = f"{tmp_path}: made with another configuration: train.learning_rate: 0.0001 in the folder, 0.001 now"
        assert refusal(tmp_path, config_of()) == expected
        changed = config_of(**{"train.learning_rate": 1e-4, "data.datasets": ("b", "a"), "train.decay": "cosine"})
        assert refusal(tmp_path, changed).endswith(
            "data.datasets: ['a', 'b'] in the folder, ['b', 'a'] now; "
            "train.decay: 'constant' in the folder, 'cosine' now"
        )
        assert (tmp_path / "config.json").read_text() == text

    def test_a_start_that_failed_does_not_block_the_next(self, tmp_path):
        open_once(tmp_path, config_of(), begun=False)
        open_once(tmp_path, config_of(seed=1))
        assert json.loads((tmp_path / "config.json").read_text())["seed"] == 1
        assert "seed: 1 in the folder, 0 now" in refusal(tmp_path, config_of(seed=0))

    def test_the_spelling_of_a_path(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name in ("data/a", "data/b", "elsewhere/a"):
            (tmp_path / name).mkdir(parents=True)
        (tmp_path / "link").symlink_to("data")

        def datasets(*paths):
            return config_of(**{"data.datasets": tuple(map(str, paths))})

        open_once("run", datasets("data/a", "data/b"))
        for same in ("./data/", "link/", f"{tmp_path}/data/"):
            open_once("run", datasets(f"{same}a", f"{same}b/"))
        # Another folder of the same name is other data, unless the first one is gone: then it was moved.
        assert "data.datasets" in refusal("run", datasets("elsewhere/a", "data/b"))
        (tmp_path / "data/a").rmdir()
        assert "data.datasets" in refusal("run", datasets("data/b", "elsewhere/a"))
        open_once("run", datasets("elsewhere/a", "data/b"))

    def test_many_differences(self, tmp_path):
        open_once(tmp_path, {"own": {str(n): n for n in range(8)}})
        line = refusal(tmp_path, {"own": {str(n): n + 1 for n in range(8)}})
        assert line.count(" in the folder, ") == 5
        assert line.endswith("own.4: 4 in the folder, 5 now; and 3 more")
        assert "more" not in refusal(tmp_path, {"own": {str(n): n + (n < 5) for n in range(8)}})

    def test_a_key_that_is_new_or_gone(self, tmp_path):
        open_once(tmp_path, {"train": {"a": 1, "b": None}})
        assert refusal(tmp_path, {"train": {"b": None, "c": "x"}}).endswith(
            "train.a: 1 in the folder, nothing now; train.c: nothing in the folder, 'x' now"
        )
        assert "train.b: None in the folder, nothing now" in refusal(tmp_path, {"train": {"a": 1}})

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("train.steps", 200),
            ("train.accumulate", 4),
            ("model.remat", True),
            ("data.apply", "device"),
            ("data.context.pad_to", 8),
            ("log.every", 1),
            ("checkpoint.every", 10),
            ("checkpoint.keep", 1),
            ("parallel.mode", "mesh"),
            ("parallel.context", 2),
        ],
    )
    def test_what_may_differ_is_written_anew(self, tmp_path, key, value):
        open_once(tmp_path, config_of())
        open_once(tmp_path, config_of(**{key: value}))
        written = json.loads((tmp_path / "config.json").read_text())
        assert reduce(getitem, key.split("."), written) == value

    def test_steps_that_the_learning_rate_depends_on(self, tmp_path):
        open_once(tmp_path, config_of(**{"train.decay": "cosine"}))
        changed = config_of(**{"train.decay": "cosine", "train.steps": 200})
        assert refusal(tmp_path, changed).endswith(": train.steps: 100 in the folder, 200 now")

    def test_a_key_of_an_earlier_version(self, tmp_path):
        open_once(tmp_path, {"train": {"average": 0.9}})
        line = refusal(tmp_path, {"train": {"ema_decay": 0.9}})
        assert line.startswith(f"{tmp_path / 'config.json'}: train.average is called train.ema_decay now")

    @pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b'{"train": {"steps": 100}'])
    def test_damaged(self, tmp_path, content):
        open_once(tmp_path, config_of())
        (tmp_path / "config.json").write_bytes(content)
        assert refusal(tmp_path, config_of()).startswith(f"{tmp_path / 'config.json'}: damaged, expected")
        assert (tmp_path / "config.json").read_bytes() == content

    def test_not_a_folder(self, tmp_path):
        (tmp_path / "file").touch()
        assert refusal(tmp_path / "file", config_of()).startswith(f"{tmp_path / 'file'}: cannot be written")


class TestLock:
    def test_one_run_at_a_time(self, tmp_path):
        with open_work_folder(tmp_path, config_of()):
            assert refusal(tmp_path, config_of(**{"log.every": 1})) == (
                f"{tmp_path}: another run is using it, expected one at a time"
            )
            assert json.loads((tmp_path / "config.json").read_text())["log"]["every"] == 50
            open_once(tmp_path / "other", config_of())
        open_once(tmp_path, config_of())

    def test_free_after_an_error(self, tmp_path):
        def fails():
            with open_work_folder(tmp_path, config_of()):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fails()
        open_once(tmp_path, config_of())

    def test_free_when_the_process_is_killed(self, tmp_path):
        program = (
            "import sys, time; from neuralizer_jax.training.work_folder import open_work_folder\n"
            "with open_work_folder(sys.argv[1], {}): print('open', flush=True); time.sleep(60)"
        )
        with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as child:
            assert child.stdout.readline() == b"open\n"
            assert "another run is using it" in refusal(tmp_path, {})
            child.send_signal(signal.SIGKILL)
        open_once(tmp_path, {})
