"""The time on a GPU is kept, and what was made comes back: with a stand-in for the training, and one real training."""

import json
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STUB = Path(__file__).with_name("stub_train.py")
MEASURE = """
import json
for line in ({"kind": "device"}, {"kind": "chosen", "batch": 8},
             {"kind": "program", "share": 0.5, "seconds": 0.1}, {"kind": "program", "share": 0.5, "seconds": 0.3}):
    print(json.dumps(line))
"""


@pytest.fixture
def folder(tmp_path):
    """What `pack.py` makes, with stand-ins for the package and for the measurement."""
    folder = tmp_path / "gpu"
    folder.mkdir()
    shutil.copy(ROOT / "benchmarks/gpu_train/run.py", folder)
    (folder / "measure.py").write_text(MEASURE)
    plan = {"number": 3, "name": "gpu-3-small-slices", "stage": "slices", "features": 32, "batch": 0}
    (folder / "plan.json").write_text(
        json.dumps(plan | {"start": "runs/crops/checkpoints", "data": ["data/maps-volumes"]})
    )
    with tarfile.open(folder / "load.tar.xz", "w:xz") as archive:
        archive.add(STUB, "source/neuralizer_jax/__main__.py")
    return folder


def run(folder, *options, seconds=3):
    """Runs it with that many seconds of training. Returns the results, and how the command ended."""
    parent = folder.parent
    minutes = f"{(30 + seconds) / 60}"  # 30 s are kept to stop and to write
    command = [
        sys.executable,
        folder / "run.py",
        "--minutes",
        minutes,
        "--out",
        parent / "out",
        "--work",
        parent / "work",
    ]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60, check=False)
    return json.loads((parent / "out/gpu_train.json").read_text()), done


def step_of(path):
    """The step in the archive of a run."""
    with tarfile.open(path) as archive:
        [checkpoint] = [name for name in archive.getnames() if name.endswith("meta")]
    return int(checkpoint.split("/")[-2])


def test_it_ends_in_time_with_half_the_batch_after_a_failure(folder):
    began = time.monotonic()
    results, done = run(folder, "--", "--config.model.stages=2")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 8
    assert [(run["batch"], run["status"]) for run in results["runs"]] == [(8, 1), (4, 0)]
    out = folder.parent / "out"
    assert {path.name for path in out.iterdir()} == {
        *("gpu_train.json", "log.txt", "programs.tar"),
        *("gpu-3-small-slices-batch8.tar.gz", "gpu-3-small-slices-batch4.tar.gz"),
    }
    assert "out of memory" in (out / "log.txt").read_text()
    assert step_of(out / "gpu-3-small-slices-batch8.tar.gz") == 3
    assert step_of(out / "gpu-3-small-slices-batch4.tar.gz") == results["runs"][1]["step"] > 10
    config = json.loads((folder.parent / "work/runs/gpu-3-small-slices-batch4/config.json").read_text())
    # Its weights are those before the failure; its episodes are others.
    assert config["train"]["init_from"] == "runs/gpu-3-small-slices-batch8/checkpoints"
    assert "--config.seed=3104" in config["arguments"]
    assert "--config.model.stages=2" in config["arguments"]


def test_again_it_goes_on_and_ends_with_the_decay(folder):
    first, _ = run(folder, "--batch", "4", "--measure", "0", seconds=2)
    second, done = run(folder, "--batch", "4", "--measure", "0", "--decay", "0.02", seconds=3)
    assert done.returncode == 0, done.stderr
    main, decay = second["runs"]
    assert main["name"] == first["runs"][0]["name"]
    assert main["step"] > first["runs"][0]["step"]
    assert decay["name"] == f"gpu-3-small-decay-batch4-after-{main['step']}"
    assert decay["step"] == 10
    config = json.loads((folder.parent / "work/runs" / decay["name"] / "config.json").read_text())
    assert config["train"]["init_from"] == f"runs/{main['name']}/checkpoints"


def test_a_measurement_that_was_cut_short(folder):
    line = '{"kind": "program", "share": 0.25, "seconds": 0.2}'
    (folder / "measure.py").write_text(f"print({line!r}); print('{{\"kind\": \"progr', end='')")
    results, done = run(folder, "--batch", "4", seconds=2)
    assert done.returncode == 0, done.stderr
    assert "a step takes 0.200 s, 1 programs" in done.stdout
    assert results["runs"][0]["step"] > 0


def test_where_jax_does_not_start(folder):
    (folder / "measure.py").write_text("import sys; sys.exit('no such device')")
    _, done = run(folder)
    assert done.returncode == 1
    assert done.stderr == "JAX does not start: no such device\n"


def test_where_nothing_fits(folder):
    with tarfile.open(folder / "load.tar.xz", "w:xz") as archive:
        folder.joinpath("fails.py").write_text("raise SystemExit('out of memory')")
        archive.add(folder / "fails.py", "source/neuralizer_jax/__main__.py")
    results, done = run(folder, "--measure", "0")
    assert done.returncode == 1
    assert [run["batch"] for run in results["runs"]] == [8, 4, 2]
    assert "out of memory" in done.stdout
