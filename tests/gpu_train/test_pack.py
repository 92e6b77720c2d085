"""What is packed is what is needed; what comes back lies where the recipe goes on from it."""

import json
import subprocess
import sys
import tarfile

import pytest
from gpu_scripts import FOLDER, script


def write_run(folder, steps, start=""):
    for step in steps:
        checkpoint = folder / "checkpoints" / str(step)
        (checkpoint / "state").mkdir(parents=True)
        (checkpoint / "meta").mkdir()
        (checkpoint / "state/d").write_text(f"step {step}")
    config = {"train": {"init_from": start}, "data": {"datasets": ["data/maps-volumes"]}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "metrics.csv").write_text("step,loss\n")
    return folder


@pytest.fixture
def data(tmp_path):
    volumes = tmp_path / "data/maps-volumes/volumes"
    volumes.mkdir(parents=True)
    (volumes / "index.json").write_text("{}")
    (volumes / "labels.npy").write_bytes(b"labels")
    return volumes.parent


def pack(tmp_path, data, *options):
    command = [sys.executable, FOLDER / "pack.py", "--out", tmp_path / "out", "--data", data, "--wheels"]
    command += ["--folder", tmp_path / "gpu", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def packed(tmp_path):
    with tarfile.open(tmp_path / "gpu/load.tar.xz") as archive:
        return json.loads((tmp_path / "gpu/plan.json").read_text()), set(archive.getnames())


def test_the_newest_checkpoint_code_and_volumes(tmp_path, data):
    write_run(tmp_path / "out/runs/small-crops", [100, 300, 200])
    done = pack(tmp_path, data)
    assert done.returncode == 0, done.stderr
    plan, names = packed(tmp_path)
    assert (plan["name"], plan["start"]) == ("gpu-1-small-slices", "runs/small-crops/checkpoints")
    assert plan["data"] == ["data/maps-volumes"]
    assert {
        "source/neuralizer_jax/model.py",
        "source/experiments/pretrained.py",
        "data/maps-volumes/volumes/labels.npy",
    } < names
    assert "runs/small-crops/checkpoints/300/state/d" in names
    assert not any(name.startswith("runs/small-crops/checkpoints/100") or "__pycache__" in name for name in names)
    assert {"plan.json", "run.py", "measure.py"} < {path.name for path in (tmp_path / "gpu").iterdir()}


def test_a_run_of_a_gpu_goes_on_in_its_stage_and_starts_the_next(tmp_path, data):
    first = write_run(tmp_path / "out/runs/small-crops", [100])
    run = write_run(tmp_path / "out/runs/gpu-2-small-slices-batch8", [40], f"{first}/checkpoints")
    assert pack(tmp_path, data, "--start", run).returncode == 0
    plan, names = packed(tmp_path)
    assert (plan["name"], plan["number"], plan["batch"]) == ("gpu-2-small-slices", 2, 8)
    # The start of the run is checked again when it goes on.
    assert plan["start"] == "runs/small-crops/checkpoints"
    for needed in ("small-crops/checkpoints/100", "gpu-2-small-slices-batch8/checkpoints/40"):
        assert f"runs/{needed}/state/d" in names
    assert pack(tmp_path, data, "--start", run, "--features", "64").returncode == 0
    plan, _ = packed(tmp_path)
    assert (plan["name"], plan["number"], plan["batch"]) == ("gpu-3-base-slices", 3, 0)
    assert plan["start"] == "runs/gpu-2-small-slices-batch8/checkpoints"


def test_weights_of_a_file_or_by_name(tmp_path, data):
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(b"weights")
    assert pack(tmp_path, data, "--start", weights).returncode == 0
    plan, names = packed(tmp_path)
    assert plan["start"] in names
    assert pack(tmp_path, data, "--start", "small").returncode == 0
    assert packed(tmp_path)[0]["start"] == "small"
    # A run that started from them goes on as another run: they are not known any more.
    run = write_run(tmp_path / "out/runs/gpu-1-small-slices-batch8", [40], plan["start"])
    assert pack(tmp_path, data, "--start", run).returncode == 0
    plan, names = packed(tmp_path)
    assert (plan["name"], plan["start"]) == ("gpu-2-small-slices", f"runs/{run.name}/checkpoints")


def test_too_much_to_carry(tmp_path, data):
    done = pack(tmp_path, data, "--start", "random", "--mib", "0.001")
    assert done.returncode == 1
    assert "expected at most 0.001" in done.stderr


def write_archive(path, run, tmp_path):
    with tarfile.open(path, "w:gz") as archive:
        archive.add(run, run.relative_to(tmp_path / "there"))


def test_back_in_its_place(tmp_path, data):
    name = "gpu-1-small-slices-batch8"
    run = write_run(tmp_path / "there/runs" / name, [40], "runs/small-crops/checkpoints")
    write_archive(tmp_path / "run.tar.gz", run, tmp_path)
    out, take_back = tmp_path / "out", script("take_back")
    out.mkdir()
    assert take_back.take_run(tmp_path / "run.tar.gz", out, data) == out / "runs" / name
    config = json.loads((out / "runs" / name / "config.json").read_text())
    assert config["train"]["init_from"] == str(out / "runs/small-crops/checkpoints")
    assert config["data"]["datasets"] == [str(data)]
    assert (out / "runs" / name / "checkpoints/40/state/d").exists()
    # An archive of an earlier step, found later, changes nothing.
    (out / "runs" / name / "checkpoints/60").mkdir()
    assert take_back.take_run(tmp_path / "run.tar.gz", out, data) is None
    assert (out / "runs" / name / "checkpoints/60").exists()
    assert [path.name for path in out.iterdir()] == ["runs"]


def test_an_archive_that_leaves_its_folder(tmp_path, data):
    with tarfile.open(tmp_path / "run.tar.gz", "w:gz") as archive:
        archive.add(data / "volumes/labels.npy", "../../labels.npy")
    with pytest.raises(SystemExit, match=r"run\.tar\.gz: .*outside the destination, expected the archive of a run"):
        script("take_back").take_run(tmp_path / "run.tar.gz", tmp_path, data)


def test_the_timings_as_a_page():
    measured = {"size": 96, "members": 8, "episodes": 32, "share": 0.6, "seconds": 0.05, "making_seconds": 0.004}
    measured |= {"kind": "program", "bytes": 3 * 2**30, "trace_seconds": 5.2, "compile_seconds": 61.7}
    run = {"name": "gpu-1-small-slices-batch8", "step": 4000, "seconds": 300.4, "status": 0}
    results = {
        "command": "python3 run.py --batch 8", "date": "2026-12-01", "plan": {"stage": "slices", "features": 32},
        "measured": [measured], "runs": [run | {"train/images_per_second": 5213.0, "train/data_wait": 0.021}],
        "seconds": 540.0,
    }  # fmt: skip
    page = script("take_back").markdown(results)
    assert "| 96x96 | 8 | 32 | 60% | 50.0 | 8.0% | 3.00 | 5 + 62 |" in page
    assert "| gpu-1-small-slices-batch8 | 4000 | 300 | 5213 | 2.1% | 0 |" in page
    # A machine that was taken away while it measured.
    assert "not measured" in script("take_back").markdown(results | {"measured": [], "runs": []})
