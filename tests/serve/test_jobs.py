"""Predictions run one at a time; what happens to the process of one does not matter to the next."""

import json
import os
import signal
import sys
import time

import numpy as np
import pytest
from PIL import Image
from workbench_files import WORKER, picture, save_volume

from neuralizer_jax.serve.jobs import Jobs


@pytest.fixture
def scans(tmp_path):
    for name in ("a", "slow", "bad"):
        save_volume(tmp_path / f"{name}.nii.gz", picture(1))
    return lambda name: (
        lambda: [
            *("--task", "denoising", "--target", str(tmp_path / f"{name}.nii.gz")),
            *("--out", str(tmp_path / f"{name}_out.nii.gz")),
        ]
    )


def until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_one_after_another(jobs, scans):
    added = [jobs.add("s", "denoising", scans(name)) for name in ("a", "bad", "a")]
    jobs.wait()
    assert [job.state for job in added] == ["done", "failed", "done"]
    assert added[0].notes == ["made up"]
    assert (added[0].done, added[0].of) == (1, 2)


def test_cancelled_ones_leave_the_others_alone(jobs, scans, tmp_path):
    slow, waiting, last = (jobs.add("s", "denoising", scans(name)) for name in ("slow", "a", "a"))
    until(lambda: slow.of == 2)
    jobs.cancel(waiting)
    jobs.cancel(slow)
    jobs.wait()
    assert [job.state for job in (slow, waiting, last)] == ["cancelled", "cancelled", "done"]
    assert not (tmp_path / "slow_out.nii.gz").exists()
    jobs.cancel(last)
    assert last.state == "done"


def test_process_that_dies_fails_its_prediction_alone(jobs, scans):
    slow, after = jobs.add("s", "denoising", scans("slow")), jobs.add("s", "denoising", scans("a"))
    until(lambda: slow.of == 2)
    os.kill(jobs._process.pid, signal.SIGKILL)
    jobs.wait()
    assert (slow.state, after.state) == ("failed", "done")
    assert "without a result" in slow.error


def test_closing_ends_the_process(scans):
    jobs = Jobs(WORKER)
    slow = jobs.add("s", "denoising", scans("slow"))
    until(lambda: slow.of == 2)
    process = jobs._process
    jobs.close()
    assert process.poll() is not None
    assert slow.state == "cancelled"


def test_the_worker_predicts(tmp_path, tiny_weights):
    """The true one, on a small image; and it says what is wrong with a missing file."""
    for name, seed in (("t", 1), ("c_in", 2)):
        Image.fromarray(np.random.default_rng(seed).integers(0, 255, (16, 16)).astype(np.uint8)).save(
            tmp_path / f"{name}.png"
        )
    Image.fromarray(np.eye(16, dtype=np.uint8)).save(tmp_path / "c_out.png")

    def arguments(target):
        files = {"--target": target, "--out": "t_dseg.png", "--context-in": "c_in.png", "--context-out": "c_out.png"}
        given = [part for option, name in files.items() for part in (option, str(tmp_path / name))]
        return ["--task", "segmentation", "--weights", str(tiny_weights), "--resample", *given]

    jobs = Jobs()
    good, bad = (jobs.add("s", "segmentation", lambda name=name: arguments(name)) for name in ("t.png", "missing.png"))
    jobs.wait()
    jobs.close()
    assert (good.state, good.error) == ("done", "")
    assert np.asarray(Image.open(tmp_path / "t_dseg.png")).shape == (16, 16)
    assert bad.error.startswith(f"{tmp_path / 'missing.png'}: cannot be opened")


def test_a_line_that_is_no_answer_fails(scans):
    jobs = Jobs((sys.executable, "-c", f"import json\ninput()\nprint({json.dumps('hello')!r})"))
    job = jobs.add("s", "denoising", scans("a"))
    jobs.wait()
    jobs.close()
    assert job.state == "failed"
