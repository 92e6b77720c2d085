"""The whole way on a CPU: packed, measured, trained, taken back. The training compiles nothing that was measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from fake_volumes import write_fake_volumes

from neuralizer_jax import load_weights

FOLDER = Path(__file__).parents[2] / "benchmarks/gpu_train"
TINY = {
    "model.stages": 1,
    "train.steps": 3,
    "train.warmup_steps": 0,
    "train.optimizer": "adam",
    "data.crops": "((32,64,1,1.0),(48,96,1,1.0))",
    "data.context.max": 1,
    "data.context.pad_to": 1,
    "data.classes.min_pixels": 20,
    "data.only.tasks": "segmentation",
    "data.volumes.deformation.probability": 0.0,
    "data.volumes.lesions.segment_probability": 0.0,
}
AUGMENTATIONS = ("synthetic_modality", "mask_border", "mask_part")


def test_from_label_maps_to_weights(tmp_path):
    maps, _ = write_fake_volumes(tmp_path)
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    changes = TINY | {f"data.task_augmentations.{name}.probability": 0.0 for name in AUGMENTATIONS}

    def call(*command):
        done = subprocess.run(
            [sys.executable, *map(str, command)], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    out, back = tmp_path / "pretrained", tmp_path / "back"
    start = ("--start", "random", "--features", 4, "--wheels", "--folder", tmp_path / "gpu")
    call(FOLDER / "pack.py", "--out", out, "--data", maps, *start)
    options = ("--batch", 2, "--measure", 0.2, "--minutes", 5, "--out", back, "--work", tmp_path / "work")
    call(tmp_path / "gpu/run.py", *options, "--", *(f"--config.{key}={value}" for key, value in changes.items()))
    call(FOLDER / "take_back.py", back, "--out", out, "--data", maps, "--no-results")

    results = json.loads((back / "gpu_train.json").read_text())
    programs = [line for line in results["measured"] if line["kind"] == "program"]
    assert {(line["size"], line["members"], line["episodes"]) for line in programs} == {(32, 1, 1), (48, 1, 1)}
    assert all(0 < line["making_seconds"] < line["seconds"] for line in programs)
    compiled = [path.name for path in (tmp_path / "work/programs").glob("jit_train-*-cache")]
    assert len(compiled) == 2, compiled
    [run] = results["runs"]
    assert (run["status"], run["step"]) == (0, 3)
    _, params = load_weights(out / "runs" / run["name"] / "checkpoints")
    assert all(np.isfinite(value).all() for value in params["target_embedding"].values())
    assert (back / "trace.xplane.pb.gz").stat().st_size > 0
