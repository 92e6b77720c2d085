"""What a run leaves behind in numbers: every step once, also after it was killed; scores; the progress line."""

import fcntl
import io
import os
import resource
import struct
import termios
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tensorboardX.proto.event_pb2 import Event, SessionLog

from neuralizer_jax.errors import InputError
from neuralizer_jax.training.metrics_log import MetricsLog, mean_losses, read_metrics
from neuralizer_jax.training.progress import Progress
from neuralizer_jax.training.validation import mean_scores

TASKS = ["segmentation", "skull_stripping", "denoising"]


def write_steps(folder, steps, start_step=0, sign=1):
    with MetricsLog(folder, start_step) as log:
        for step in steps:
            log.write(step, {"train/loss": sign / (step + 3), "train/learning_rate": 1e-4})


def events_shown(folder):
    """Scalars by (tag, step), and how many, as TensorBoard reads them: files by name, each start hides later steps."""
    shown = []
    for path in sorted((folder / "tensorboard").iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            if event.HasField("session_log") and event.session_log.status == SessionLog.START:
                shown = [entry for entry in shown if entry[1] < event.step]
            shown += [(value.tag, event.step, value) for value in event.summary.value]
    return shown


class TestMetrics:
    def test_what_was_written_is_read(self, tmp_path):
        with MetricsLog(tmp_path / "runs" / "one") as log:
            log.write(50, {"train/loss": np.float32(0.1), "train/loss/a,b": 2})
            log.write(100, {"train/loss": float("nan"), "validation/loss": 1e-30})
            # On disk while the run goes on.
            metrics = read_metrics(tmp_path / "runs" / "one" / "metrics.csv")
            tags = [tag for tag, *_ in events_shown(tmp_path / "runs" / "one")]
        assert list(metrics) == ["train/loss", "train/loss/a,b", "validation/loss"]
        assert tags == ["train/loss", "train/loss/a,b", "train/loss", "validation/loss"]
        np.testing.assert_array_equal(metrics["train/loss"], [[50, 100], [np.float32(0.1), np.nan]])
        np.testing.assert_array_equal(metrics["train/loss/a,b"], [[50], [2]])
        np.testing.assert_array_equal(metrics["validation/loss"], [[100], [1e-30]])

    def test_a_resumed_run_has_every_step_once(self, tmp_path):
        write_steps(tmp_path, range(10, 90, 10))
        write_steps(tmp_path, range(50, 130, 10), start_step=40, sign=-1)
        steps, values = read_metrics(tmp_path / "metrics.csv")["train/loss"]
        np.testing.assert_array_equal(steps, np.arange(10, 130, 10))
        np.testing.assert_array_equal(values, np.where(steps <= 40, 1, -1) / (steps + 3))

    @pytest.mark.parametrize("start_step", [0, 40])
    def test_a_resumed_run_has_every_step_once_in_tensorboard(self, tmp_path, start_step):
        write_steps(tmp_path, range(0, 90, 10))
        time.sleep(1.1)  # the files' names count seconds
        write_steps(tmp_path, range(start_step and start_step + 10, 130, 10), start_step, sign=-1)
        losses = [(step, value.simple_value) for tag, step, value in events_shown(tmp_path) if tag == "train/loss"]
        np.testing.assert_array_equal([step for step, _ in losses], np.arange(0, 130, 10))
        assert all((value < 0) == (step > start_step or start_step == 0) for step, value in losses)

    def test_a_run_from_the_beginning_keeps_nothing(self, tmp_path):
        write_steps(tmp_path, [0, 10, 20])
        write_steps(tmp_path, [0, 10], sign=-1)
        steps, values = read_metrics(tmp_path / "metrics.csv")["train/loss"]
        np.testing.assert_array_equal(steps, [0, 10])
        assert (values < 0).all()

    @settings(max_examples=40)
    @given(st.integers(0, 400))
    def test_killed_while_writing(self, tmp_path_factory, length):
        """Wherever the file ends, what is read is the beginning of what was written, and the run can go on."""
        folder = tmp_path_factory.mktemp("run")
        write_steps(folder, range(1, 8))
        path = folder / "metrics.csv"
        whole, text = read_metrics(path), path.read_bytes()
        path.write_bytes(text[:length])
        for name, (steps, values) in read_metrics(path).items():
            np.testing.assert_array_equal(steps, whole[name][0][: len(steps)])
            np.testing.assert_array_equal(values, whole[name][1][: len(steps)])
            assert len(steps) >= text[:length].count(f",{name},".encode()) - 1
        write_steps(folder, [8], start_step=7)
        assert read_metrics(path)["train/loss"][0][-1] == 8

    @pytest.mark.parametrize(
        "line", ["7,train/loss", "x,train/loss,1", "7,train/loss,abc", "7,a,b,1", "", "7.5,train/loss,1"]
    )
    def test_a_damaged_file_is_named(self, tmp_path, line):
        write_steps(tmp_path, [1])
        path = tmp_path / "metrics.csv"
        damaged = path.read_text() + line + "\n2,train/loss,1\n"
        path.write_text(damaged)
        for use in (lambda: read_metrics(path), lambda: MetricsLog(tmp_path, 1)):
            with pytest.raises(InputError) as error:
                use()
            assert str(error.value) == f"{path}: line 4 is {line!r}, expected step,name,value"
            assert path.read_text() == damaged

    def test_another_file(self, tmp_path):
        path = tmp_path / "metrics.csv"
        path.write_text("a,b,c\n1,x,2\n")
        with pytest.raises(InputError, match="line 1 is 'a,b,c', expected step,name,value"):
            read_metrics(path)
        with pytest.raises(InputError, match=r"other\.csv: cannot be read \(No such file"):
            read_metrics(tmp_path / "other.csv")
        path.write_bytes(b"step,name,value\n\xff")
        with pytest.raises(InputError, match="cannot be read"):
            read_metrics(path)

    def test_a_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match=r"file/run: cannot be written \(Not a directory\)"):
            MetricsLog(tmp_path / "file" / "run")

    def test_a_full_disk(self, tmp_path):
        """Where no file may grow any more: one line, and what was written before is there."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        with MetricsLog(tmp_path) as log:
            log.write(1, {"train/loss": 1.0})
            resource.setrlimit(resource.RLIMIT_FSIZE, (8, hard))
            try:
                with pytest.raises(InputError, match=rf"^{tmp_path}: cannot be written \(File too large\)$"):
                    log.write(2, {"train/loss": 1.0})
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert read_metrics(tmp_path / "metrics.csv")["train/loss"][0][0] == 1

    def test_a_picture_in_tensorboard(self, tmp_path):
        path = tmp_path / "picture.png"
        Image.new("RGB", (30, 20), "red").save(path)
        with MetricsLog(tmp_path) as log:
            log.image(1000, "validation", path)
        [(tag, step, value)] = events_shown(tmp_path)
        assert (tag, step, value.image.width, value.image.height) == ("validation", 1000, 30, 20)
        assert value.image.encoded_image_string == path.read_bytes()


class TestMeanLosses:
    def test_of_the_tasks_that_occur(self):
        means = mean_losses("train", np.array([0, 2, 2, 0]), np.array([1.0, 2.0, 6.0, 3.0]), TASKS)
        assert means == {"train/loss": 3.0, "train/loss/segmentation": 2.0, "train/loss/denoising": 4.0}

    def test_a_nan_is_passed_on(self):
        means = mean_losses("train", np.array([0, 1]), np.array([np.nan, 1.0]), TASKS)
        assert np.isnan([means["train/loss"], means["train/loss/segmentation"]]).all()
        assert means["train/loss/skull_stripping"] == 1.0


def scored(task, context_size, loss, metric, score):
    columns = {"task": task, "context_size": context_size, "loss": loss, "metric": metric, "score": score}
    return pd.DataFrame(columns)


class TestScores:
    def test_means_over_episodes(self):
        losses, metrics = [0.5, 0.1, 0.2, 0.3, 0.4], ["psnr", "dice", "dice", "dice", "dice"]
        episodes = scored([2, 0, 0, 0, 0], [8, 8, 8, 8, 32], losses, metrics, [20.0, 0.8, 0.6, 0.7, 0.9])
        means = mean_scores(episodes, TASKS)
        assert means == pytest.approx(
            {
                "validation/loss": 0.3,
                "validation/loss/segmentation": 0.25,
                "validation/loss/denoising": 0.5,
                "validation/dice/segmentation/N=8": 0.7,
                "validation/dice/segmentation/N=32": 0.9,
                "validation/psnr/denoising/N=8": 20.0,
            }
        )
        assert list(means)[3:5] == ["validation/dice/segmentation/N=8", "validation/dice/segmentation/N=32"]

    def test_a_nan_is_passed_on(self):
        means = mean_scores(scored([0, 2], 1, [np.nan, 1.0], ["dice", "psnr"], [np.nan, 20.0]), TASKS)
        assert np.isnan([means["validation/loss"], means["validation/dice/segmentation/N=1"]]).all()
        assert means["validation/psnr/denoising/N=1"] == 20.0


def scalars(loss):
    return {"train/loss": loss, "train/images_per_second": 512.4, "train/data_wait": 0.034}


def on_terminal(columns, use):
    """What `use` writes to a terminal of that width."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24 if columns else 0, columns, 0, 0))
    with open(theirs, "w", encoding="utf-8") as stream:
        use(stream)
    written = b""
    while True:
        try:
            written += os.read(ours, 65536)
        except OSError:  # all is read
            os.close(ours)
            return written.decode()


class TestProgress:
    def run(self, stream):
        with Progress(100_000, 40_000, stream=stream, clock=lambda: 0.0) as progress:
            progress.message("goes on from step 40000")
            progress.write(40_050, scalars(0.5))
            progress.validated(40_050, 0.25, best=True)
            progress.write(40_100, scalars(0.6))
            progress.validated(40_100, 0.26, best=False)
            progress.message("stopped early")

    def test_plain_lines(self):
        stream = io.StringIO()
        self.run(stream)
        assert stream.getvalue().splitlines() == [
            "goes on from step 40000",
            "step 40050/100000  ETA 0m00s  loss 0.5000  512 img/s  data 3 %",
            "step 40050/100000  ETA 0m00s  loss 0.5000  val 0.2500*  512 img/s  data 3 %",
            "step 40100/100000  ETA 0m00s  loss 0.5300  val 0.2500*  512 img/s  data 3 %",
            "step 40100/100000  ETA 0m00s  loss 0.5300  val 0.2600   512 img/s  data 3 %",
            "stopped early",
        ]

    @pytest.mark.parametrize("columns", [80, 100])
    def test_one_line_in_a_terminal(self, columns):
        written = on_terminal(columns, self.run)
        lines = written.replace("\r\n", "\n").split("\n")
        shown = [line.rstrip("\r").split("\r")[-1].rstrip() for line in lines]
        assert shown[:2] == ["goes on from step 40000", "stopped early"]
        assert shown[2].startswith("|")
        assert shown[2].endswith("data 3 %")
        assert "| 40100/100000  ETA" in shown[2]
        assert "loss 0.5300  val 0.2600 " in shown[2]
        assert shown[3:] == [""]
        assert max(len(frame) for line in lines for frame in line.split("\r")) < columns

    def test_a_terminal_without_a_size(self):
        assert "step 40100/100000" in on_terminal(0, self.run)

    def test_remaining_time(self):
        """A step takes a second once the programs are compiled; a validation now and then half a minute."""
        stream, now = io.StringIO(), 0.0
        with Progress(10_000, stream=stream, clock=lambda: now) as progress:
            now += 600
            for step in range(50, 4001, 50):
                progress.write(step, scalars(0.5))
                now += 50 + 30 * (step % 500 == 0)
        lines = stream.getvalue().splitlines()
        assert "ETA 33h10m" in lines[0]  # nothing else is known yet: 600 s for 50 steps
        assert "ETA 2h45m" in lines[1]
        assert "ETA 1h46m" in lines[-1]  # 6,000 steps of 1.06 s
