"""Wrong input on the command line: one line that names what is wrong, exit status 2, and nothing on disk is touched."""

import gzip
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from golden.golden_weights import FOLDER
from PIL import Image
from safetensors.numpy import load_file, save_file

from neuralizer_jax.cli.main import main

SIZE = 24  # as `test_cli`, so that both share compiled programs


# A folder in which `neuralizer predict` works, and the ways to spoil it. Everything lies in the working folder.


def picture(seed, size=SIZE):
    """Grey values [size, size]: a bright disc with noise."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    noise = np.random.default_rng(seed).uniform(0, 60, (size, size))
    return (noise + 190 * (x**2 + y**2 < 0.6)).astype(np.uint8)


def disc():
    return picture(0) >= 128


def save_png(path, pixels):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path, monkeypatch, tiny_weights, unet_weights):
    """A target, two example pairs and weights; the working folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(tiny_weights, "w.safetensors")
    shutil.copy(unet_weights, "unet.safetensors")
    save_png("t.png", picture(1))
    Path("ctx").mkdir()
    for index in range(2):
        save_png(f"ctx/in{index}.png", picture(10 + index))
        save_png(f"ctx/out{index}.png", 255 - picture(10 + index))
    return tmp_path


USUAL = {"--weights": "w.safetensors", "--target": "t.png", "--context": "ctx", "--out": "o.png"}
SEGMENTATION = {"--task": "segmentation"}
PAIRS = {"--context": None, "--context-in": ["ctx/in0.png", "ctx/in1.png"]}


def arguments(options):
    """The usual command with other options: None leaves one out, True is a flag."""
    command = ["predict"]
    for name, value in {**USUAL, **options}.items():
        if value is not None:
            command += [name] + ([] if value is True else value if isinstance(value, list) else [value])
    return command


def masks(*values):
    """Turns the context outputs into masks with these two values."""
    for index in range(2):
        save_png(f"ctx/out{index}.png", np.where(disc(), values[-1], values[0]))


def truncate(path, keep=0.6):
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: int(len(content) * keep)])


def target_npy(value):
    pixels = picture(1) / 255
    pixels[3, 4] = value
    np.save("t.npy", pixels)


def nifti(path, shape, dtype=np.float32):
    values = np.random.default_rng(0).integers(0, 255, shape).astype(dtype)
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)


def changed_weights(name, change):
    """Weights whose tensors or description `change` altered; `change` gets both."""
    from safetensors import safe_open

    tensors = load_file("w.safetensors")
    with safe_open("w.safetensors", framework="numpy") as file:
        metadata = file.metadata()
    config = json.loads(metadata["neuralizer_jax"])
    change(tensors, config)
    save_file(tensors, name, {**metadata, "neuralizer_jax": json.dumps(config)})


class Harmful:
    def __reduce__(self):
        return os.system, ("touch harmed",)


def harmful_checkpoint():
    with zipfile.ZipFile("bad.ckpt", "w") as archive:
        archive.writestr("bad/data.pkl", pickle.dumps({"state_dict": Harmful()}, protocol=2))
        archive.writestr("bad/version", "3\n")


# name -> what to spoil before, options that differ from the usual ones, words of the line that must be printed.
PREDICT = {
    # files that are not there, or are something else
    "no target": (None, {"--target": "none.png"}, ["none.png", "No such file"]),
    "no weights": (None, {"--weights": "none.safetensors"}, ["none.safetensors", "no such file"]),
    "no context": (None, {"--context": "none"}, ["none", "No such file"]),
    "target folder without images": (lambda: Path("x").mkdir(), {"--target": "x", "--out": "new"}, ["x", "no image"]),
    "weights folder without checkpoint": (None, {"--weights": "ctx"}, ["ctx", "no training checkpoint"]),
    "weights of unknown kind": (None, {"--weights": "t.png"}, ["t.png", "unknown kind of weights"]),
    "context is a file": (None, {"--context": "t.png"}, ["t.png", "cannot be read as a folder"]),
    "truncated PNG": (lambda: truncate("t.png"), {}, ["t.png", "cannot be read"]),
    "empty PNG": (lambda: truncate("ctx/in1.png", 0), {}, ["ctx/in1.png", "empty"]),
    "truncated NIfTI": (
        lambda: (nifti("t.nii.gz", (SIZE, SIZE)), truncate("t.nii.gz")),
        {"--target": "t.nii.gz", "--out": "o.nii.gz"},
        ["t.nii.gz", "cannot be read"],
    ),
    "text named PNG": (lambda: Path("t.png").write_text("height,width\n"), {}, ["t.png", "not a PNG"]),
    "PNG named NIfTI": (
        lambda: shutil.copy("t.png", "t.nii.gz"),
        {"--target": "t.nii.gz"},
        ["t.nii.gz", "is a PNG image"],
    ),
    "gzipped text named NIfTI": (
        lambda: Path("t.nii.gz").write_bytes(gzip.compress(b"text" * 200)),
        {"--target": "t.nii.gz"},
        ["t.nii.gz", "not a NIfTI"],
    ),
    "JPEG": (lambda: shutil.copy("t.png", "t.jpg"), {"--target": "t.jpg"}, ["t.jpg", "expected a name that ends in"]),
    # volumes
    "4-D NIfTI": (
        lambda: nifti("t.nii", (8, 8, 8, 3)),
        {"--target": "t.nii", "--slice": "y=1"},
        ["t.nii", "holds 3 volumes"],
    ),
    "volume without slice": (lambda: nifti("t.nii", (8, 9, 8)), {"--target": "t.nii"}, ["t.nii", "--slice 1/4"]),
    "slice outside": (
        lambda: nifti("t.nii", (8, 9, 8)),
        {"--target": "t.nii", "--slice": "1/9"},
        ["t.nii", "outside the volume", "0 to 8"],
    ),
    "slice in words": (None, {"--slice": "middle"}, ["slice 'middle'", "y=-17"]),
    "empty slice": (None, {"--slice": ""}, ["slice ''", "y=-17"]),
    # pixels
    "NaN": (lambda: target_npy(np.nan), {"--target": "t.npy"}, ["t.npy", "NaN"]),
    "infinite": (lambda: target_npy(np.inf), {"--target": "t.npy"}, ["t.npy", "infinite"]),
    "complex": (lambda: np.save("t.npy", picture(1) * 1j), {"--target": "t.npy"}, ["t.npy", "expected real numbers"]),
    "constant target": (lambda: save_png("t.png", np.full((SIZE, SIZE), 7)), {}, ["t.png", "every pixel"]),
    "constant context input": (
        lambda: save_png("ctx/in1.png", np.zeros((SIZE, SIZE))),
        {},
        ["ctx/in1.png", "every pixel is 0"],
    ),
    "more channels than the target": (
        lambda: np.save("in.npy", np.random.default_rng(0).random((SIZE, SIZE, 3))),
        {"--context": None, "--context-in": "in.npy", "--context-out": "ctx/out0.png"},
        ["in.npy", "expected the channels of t.png"],
    ),
    "context output with channels": (
        lambda: np.save("out.npy", np.random.default_rng(0).random((SIZE, SIZE, 3))),
        {"--context": None, "--context-in": "ctx/in0.png", "--context-out": "out.npy"},
        ["out.npy", "one channel"],
    ),
    # the context
    "empty context": (lambda: Path("x").mkdir(), {"--context": "x"}, ["x", "no context pairs", "NAME_in0.png"]),
    "input without output": (lambda: os.remove("ctx/out1.png"), {}, ["ctx", "no partner for in1.png"]),
    "two outputs for an input": (
        lambda: shutil.copy("ctx/out1.png", "ctx/out1.tif"),
        {},
        ["several files", "out1.tif"],
    ),
    "other size than the target": (
        lambda: save_png("t.png", picture(1, 20)),
        {},
        ["ctx/in0.png", "24x24", "expected 20x20 as t.png", "--resample"],
    ),
    "pair of two sizes": (
        lambda: save_png("ctx/out1.png", picture(1, 20)),
        {"--resample": True},
        ["ctx/out1.png", "20x20", "expected 24x24 as its input ctx/in1.png"],
    ),
    "unequal lists": (None, {**PAIRS, "--context-out": "ctx/out0.png"}, ["2 context inputs and 1 context outputs"]),
    "folder and lists": (
        None,
        {**PAIRS, "--context": "ctx", "--context-out": ["ctx/out0.png", "ctx/out1.png"]},
        ["--context DIR", "--context-in"],
    ),
    "inputs only": (None, PAIRS, ["--context-in and --context-out"]),
    "no examples": (None, {"--context": None}, ["no context", "--context DIR"]),
    "target in its context": (None, {"--target": "ctx/in0.png"}, ["ctx/in0.png", "in its own context"]),
    "target in its context, linked": (
        lambda: (os.remove("t.png"), os.symlink("ctx/in1.png", "t.png")),
        {},
        ["ctx/in1.png", "in its own context"],
    ),
    "pixels of the target in its context": (
        lambda: shutil.copy("t.png", "ctx/in1.png"),
        {},
        ["ctx/in1.png", "holds the target t.png"],
    ),
    "target in its context, in another unit": (
        lambda: (save_png("ctx/in1.png", picture(0)), np.save("t.npy", 4095.0 * picture(0) - 7)),
        {"--target": "t.npy"},
        ["ctx/in1.png", "holds the target t.npy"],
    ),
    "constant output": (
        lambda: save_png("ctx/out1.png", np.full((SIZE, SIZE), 9)),
        {},
        ["ctx/out1.png", "every pixel is"],
    ),
    # masks and labels
    "masks of 1 and of 255": (
        lambda: (save_png("ctx/out0.png", disc()), save_png("ctx/out1.png", 255 * disc())),
        SEGMENTATION,
        ["ctx/out0.png is a mask of 1", "ctx/out1.png is a mask of 255", "--labels"],
    ),
    "fractional mask": (
        lambda: np.save("out.npy", picture(1) / 255),
        {**SEGMENTATION, "--context": None, "--context-in": "ctx/in0.png", "--context-out": "out.npy"},
        ["out.npy", "whole numbers"],
    ),
    "colour mask": (
        lambda: save_png("ctx/out0.png", np.dstack([picture(1), picture(2), picture(3)])),
        SEGMENTATION,
        ["ctx/out0.png", "colour image"],
    ),
    "soft mask": (
        lambda: save_png("ctx/out1.png", np.where(disc(), 255, np.arange(SIZE) * 5)),
        SEGMENTATION,
        ["ctx/out1.png", "grey values from 0 to 255"],
    ),
    "soft mask of 16 bits": (
        lambda: Image.fromarray(np.where(disc(), 65535, 9 * picture(3).astype(np.uint16)).astype(np.uint16)).save(
            "ctx/out1.png"
        ),
        SEGMENTATION,
        ["ctx/out1.png", "grey values from 0 to 65535"],
    ),
    "empty masks": (lambda: masks(0, 0), SEGMENTATION, ["context outputs are 0 everywhere"]),
    "label that is not there": (
        lambda: masks(0, 4),
        {**SEGMENTATION, "--labels": ["4", "5"]},
        ["--labels: 5", "expected some of 4"],
    ),
    "labels of an image task": (None, {"--labels": "1"}, ["--labels", "--task segmentation"]),
    "labels in words": (None, {**SEGMENTATION, "--labels": "4;5"}, ["--labels", "'4;5'", "such as 47,48"]),
    "labels beyond PNG": (
        lambda: np.save("out.npy", np.where(disc(), 70000, 0)),
        {**SEGMENTATION, "--context": None, "--context-in": "ctx/in0.png", "--context-out": "out.npy"},
        ["o.png", "70000"],
    ),
    "labels below PNG": (
        lambda: np.save("out.npy", np.where(disc(), 3, -1)),
        {**SEGMENTATION, "--context": None, "--context-in": "ctx/in0.png", "--context-out": "out.npy"},
        ["o.png", "-1"],
    ),
    # weights
    "truncated safetensors": (lambda: truncate("w.safetensors"), {}, ["w.safetensors", "not a readable safetensors"]),
    "truncated checkpoint": (
        lambda: (shutil.copy(FOLDER / "lightning.ckpt", "w.ckpt"), truncate("w.ckpt")),
        {"--weights": "w.ckpt"},
        ["w.ckpt", "not a zip file"],
    ),
    "checkpoint that runs a command": (harmful_checkpoint, {"--weights": "bad.ckpt"}, ["bad.ckpt", "system"]),
    "bare pickle that runs a command": (
        lambda: Path("bad.pt").write_bytes(pickle.dumps(Harmful())),
        {"--weights": "bad.pt"},
        ["bad.pt", "not a zip file of torch.save"],
    ),
    "checkpoint of the oldest format": (None, {"--weights": str(FOLDER / "legacy.pt")}, ["legacy.pt", "save it again"]),
    "U-Net baseline": (None, {"--weights": "unet.safetensors"}, ["unet.safetensors", "UNet", "no context"]),
    "network for volumes": (
        lambda: changed_weights("v.safetensors", lambda tensors, config: config.update(dim=3)),
        {"--weights": "v.safetensors"},
        ["v.safetensors", "shape"],
    ),
    "tensor missing": (
        lambda: changed_weights("v.safetensors", lambda tensors, config: tensors.pop("target_embedding.weight")),
        {"--weights": "v.safetensors"},
        ["v.safetensors", "no tensor target_embedding.weight"],
    ),
    "tensor of another shape": (
        lambda: changed_weights(
            "v.safetensors", lambda tensors, config: tensors.update({"target_embedding.bias": np.zeros(5, np.float32)})
        ),
        {"--weights": "v.safetensors"},
        ["v.safetensors", "target_embedding.bias has shape (5,), expected (4,)"],
    ),
    "weights that are NaN": (
        lambda: changed_weights("v.safetensors", lambda tensors, config: tensors["target_embedding.bias"].fill(np.nan)),
        {"--weights": "v.safetensors"},
        ["v.safetensors", "NaN"],
    ),
    "weights of something else": (
        lambda: save_file({"bert.encoder.weight": np.zeros((2, 2), np.float32)}, "v.safetensors"),
        {"--weights": "v.safetensors"},
        ["v.safetensors", "expected the weights of a Neuralizer"],
    ),
    "network without end": (
        lambda: changed_weights("v.safetensors", lambda tensors, config: config.update(features=10**9)),
        {"--weights": "v.safetensors"},
        ["v.safetensors", "features is 1000000000"],
    ),
    "safetensors header without end": (
        lambda: Path("v.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{}"),
        {"--weights": "v.safetensors"},
        ["v.safetensors", "not a readable safetensors"],
    ),
    # files to write
    "output below a file": (None, {"--out": "t.png/o.png"}, ["t.png/o.png", "cannot be written"]),
    "output in no folder": (None, {"--out": "none/o.png"}, ["none/o.png", "no folder none"]),
    "output of unknown kind": (None, {"--out": "o.jpg"}, ["o.jpg", "expected a name that ends in", "existing folder"]),
    "output is the target": (None, {"--out": "t.png"}, ["t.png", "is an input"]),
    "output is in the context": (None, {"--out": "ctx/../ctx/out1.png"}, ["out1.png", "is an input"]),
    "probability is the target": (
        lambda: (masks(0, 255), shutil.copy("t.png", "o_prob.png")),
        {**SEGMENTATION, "--target": "o_prob.png"},
        ["o_prob.png", "is an input"],
    ),
    "output into a folder that holds the target": (None, {"--out": "."}, ["t.png", "is an input"]),
    "output is a folder in the output folder": (
        lambda: os.makedirs("x/t.png"),
        {"--out": "x"},
        ["x/t.png", "is a folder"],
    ),
    "NIfTI output of a PNG": (None, {"--out": "o.nii.gz"}, ["o.nii.gz", "NIfTI target"]),
    "one file for two targets": (
        lambda: save_png("t2.png", picture(2)),
        {"--target": ["t.png", "t2.png"]},
        ["o.png", "one file for 2 targets"],
    ),
    "targets of one name": (
        lambda: (Path("x").mkdir(), save_png("x/t.png", picture(2))),
        {"--target": ["t.png", "x/t.png"], "--out": "new"},
        ["t.png", "2 targets have this name"],
    ),
    "outputs of one name": (
        lambda: (masks(0, 255), save_png("t_prob.png", picture(2))),
        {**SEGMENTATION, "--target": ["t.png", "t_prob.png"], "--out": "new"},
        ["new/t_prob.png", "written twice"],
    ),
    "output folder below a file": (
        lambda: save_png("t2.png", picture(2)),
        {"--target": ["t.png", "t2.png"], "--out": "w.safetensors/new/er"},
        ["w.safetensors/new/er", "is no folder"],
    ),
    "output folder is a file": (
        lambda: (save_png("t2.png", picture(2)), Path("results").touch()),
        {"--target": ["t.png", "t2.png"], "--out": "results"},
        ["results", "cannot be made"],
    ),
    "error in the second of two targets": (
        lambda: save_png("t2.png", np.zeros((SIZE, SIZE))),
        {"--target": ["t.png", "t2.png"], "--out": "new/er"},
        ["t2.png", "every pixel"],
    ),
    "figure of two targets": (
        lambda: save_png("t2.png", picture(2)),
        {"--target": ["t.png", "t2.png"], "--out": "new", "--figure": "f.png"},
        ["f.png", "one target"],
    ),
    "figure that is no PNG": (None, {"--figure": "f.svg"}, ["f.svg", "PNG"]),
    "figure in no folder": (None, {"--figure": "none/f.png"}, ["none/f.png", "no folder none"]),
    "figure over the output": (None, {"--figure": "./o.png"}, ["o.png", "written twice"]),
    "figure over an input": (None, {"--figure": "ctx/in0.png"}, ["ctx/in0.png", "is an input"]),
    # options
    "negative bootstrap": (None, {"--bootstrap": "-1"}, ["--bootstrap: is -1"]),
    "empty chunks": (None, {"--context-chunk": "0"}, ["--context-chunk: is 0"]),
    "empty sets": (None, {"--bootstrap": "2", "--bootstrap-size": "0"}, ["--bootstrap-size: is 0"]),
    "size without bootstrap": (None, {"--bootstrap-size": "4"}, ["--bootstrap-size: needs --bootstrap"]),
    "augmentation without bootstrap": (None, {"--augment": True}, ["--augment: needs --bootstrap"]),
    "negative seed": (None, {"--bootstrap": "2", "--seed": "-3"}, ["--seed: is -3"]),
    "number in words": (None, {"--bootstrap": "many"}, ["--bootstrap", "'many'"]),
    "unknown option": (None, {"--verbose": True}, ["--verbose"]),
    "unknown task": (None, {"--task": "denoising"}, ["--task", "segmentation"]),
    "no output": (None, {"--out": None}, ["--out"]),
    # names
    "link to itself": (lambda: os.symlink("t2.png", "t2.png"), {"--target": "t2.png"}, ["t2.png", "Too many levels"]),
    "link to nothing as output folder": (
        lambda: (save_png("t2.png", picture(2)), os.symlink("nowhere", "new")),
        {"--target": ["t.png", "t2.png"], "--out": "new"},
        ["new", "cannot be made"],
    ),
    "line break in a name": (None, {"--target": "no\nsuch.png"}, ["no such.png"]),
    "name that is too long": (None, {"--target": "n" * 300 + ".png"}, ["nnn.png", "too long"]),
}

CONVERT = {
    "no source": (None, ["none.ckpt", "o.safetensors"], ["none.ckpt", "no such file"]),
    "other ending": (None, ["w.safetensors", "o.ckpt"], ["o.ckpt", "expected a name that ends so"]),
    "destination in no folder": (None, ["w.safetensors", "none/o.safetensors"], ["none/o.safetensors", "written"]),
    "destination below a file": (None, ["w.safetensors", "t.png/o.safetensors"], ["t.png/o.safetensors", "written"]),
    "destination is a folder": (
        lambda: Path("o.safetensors").mkdir(),
        ["w.safetensors", "o.safetensors"],
        ["o.safetensors", "is a folder"],
    ),
    "oldest format": (None, [str(FOLDER / "legacy.pt"), "o.safetensors"], ["legacy.pt", "save it again"]),
    "harmful": (harmful_checkpoint, ["bad.ckpt", "o.safetensors"], ["bad.ckpt", "system"]),
    "image": (None, ["t.png", "o.safetensors"], ["t.png", "unknown kind of weights"]),
    "folder without checkpoint": (None, ["ctx", "o.safetensors"], ["ctx", "no training checkpoint"]),
    "damaged, over a file that is good": (
        lambda: (shutil.copy("w.safetensors", "o.safetensors"), truncate("w.safetensors")),
        ["w.safetensors", "o.safetensors"],
        ["w.safetensors", "not a readable safetensors"],
    ),
    "no destination": (None, ["w.safetensors"], ["DST"]),
}


def snapshot(folder):
    """Everything in a folder: names, and what the files hold."""
    return {path.relative_to(folder): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def refused(folder, capfd, command, words):
    """Runs a command that must be refused in one line with these words, leaving the folder as it was."""
    before = snapshot(folder)
    try:
        status = main(command)
    except SystemExit as exit_:  # how argparse ends
        status = exit_.code
    printed = capfd.readouterr()
    assert status == 2, printed
    assert printed.err.startswith("neuralizer")
    assert printed.err.endswith("\n")
    assert len(printed.err.splitlines()) == 1, printed.err
    for word in words:
        assert word in printed.err
    assert printed.out == ""
    assert snapshot(folder) == before


def test_the_usual_command_works(folder, capfd):
    assert main(arguments({})) == 0
    assert capfd.readouterr() == ("o.png\n", "")


@pytest.mark.parametrize("name", PREDICT)
def test_predict(folder, capfd, name):
    spoil, options, words = PREDICT[name]
    if spoil is not None:
        spoil()
    refused(folder, capfd, arguments(options), words)


@pytest.mark.parametrize("name", CONVERT)
def test_convert(folder, capfd, name):
    spoil, files, words = CONVERT[name]
    if spoil is not None:
        spoil()
    refused(folder, capfd, ["convert", *files], words)


@pytest.mark.parametrize(("command", "word"), [([], "COMMAND"), (["predikt"], "predikt"), (["--fast"], "COMMAND")])
def test_commands(folder, capfd, command, word):
    refused(folder, capfd, command, [word])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("out", ["locked/o.png", "locked/new"])
def test_no_permission_to_write(folder, capfd, out):
    save_png("t2.png", picture(2))
    Path("locked").mkdir(mode=0o500)
    targets = ["t.png"] if out.endswith(".png") else ["t.png", "t2.png"]
    refused(folder, capfd, arguments({"--target": targets, "--out": out}), [out, "cannot be"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission_to_read(folder, capfd):
    Path("ctx").chmod(0)
    try:
        refused(folder, capfd, arguments({}), ["ctx", "Permission denied"])
    finally:
        Path("ctx").chmod(0o700)


def test_nothing_is_computed_before_everything_is_checked(folder, capfd, monkeypatch):
    """The mistakes of the table end before the first prediction, those in what the user knows last too."""
    monkeypatch.setattr("neuralizer_jax.inference.predict.predict", lambda *_, **__: pytest.fail("computed"))
    for name in ("error in the second of two targets", "labels beyond PNG", "U-Net baseline", "NIfTI output of a PNG"):
        spoil, options, words = PREDICT[name]
        if spoil is not None:
            spoil()
        refused(folder, capfd, arguments(options), words)


@pytest.mark.parametrize("command", ["predict", "convert"])
def test_a_failed_write_keeps_the_file_that_was_there(folder, capfd, monkeypatch, command):
    name = {"predict": "o.png", "convert": "o.safetensors"}[command]
    Path(name).write_bytes(b"the result of yesterday")

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    usual = arguments({}) if command == "predict" else ["convert", "w.safetensors", name]
    monkeypatch.setattr(os, "replace", full_disk)
    monkeypatch.setattr("neuralizer_jax.compilation_cache.use_compilation_cache", lambda: None)
    refused(folder, capfd, usual, [name, "No space left on device"])


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("RESOURCE_EXHAUSTED: 1 GiB")])
def test_out_of_memory(folder, capfd, monkeypatch, error):
    def no_memory(*_, **__):
        raise error

    monkeypatch.setattr("neuralizer_jax.inference.predict.predict", no_memory)
    refused(folder, capfd, arguments({}), ["out of memory", "--context-chunk"])


def test_an_interruption_leaves_nothing(folder, capfd, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("neuralizer_jax.inference.predict.predict", interrupted)
    save_png("t2.png", picture(2))
    before = snapshot(folder)
    assert main(arguments({"--target": ["t.png", "t2.png"], "--out": "new"})) == 130
    assert capfd.readouterr().err == "neuralizer: interrupted\n"
    assert snapshot(folder) == before


def test_a_process_prints_the_line_and_nothing_else(folder):
    """No library adds a warning of its own; what a checkpoint asks to run is not run."""
    harmful_checkpoint()
    before = snapshot(folder)
    command = [sys.executable, "-m", "neuralizer_jax", *arguments({"--weights": "bad.ckpt"})]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert finished.stderr.startswith("neuralizer: error: bad.ckpt: ")
    assert finished.stderr.count("\n") == 1
    assert snapshot(folder) == before
