"""`neuralizer demo`, with fewer phantoms and a smaller network: one command from nothing to predictions."""

import itertools
import re

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from training_examples import SMALL_TRAINING

from neuralizer_jax.cli import demo
from neuralizer_jax.cli.main import main
from neuralizer_jax.weights.pretrained import PRETRAINED

# In one process, as others would first have to start.
_SMALLER = {"train": SMALL_TRAINING, "prepare": ("--workers", "1")}


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    run_command = demo._run_command

    def smaller(command, *options):
        run_command(command, *options, *_SMALLER.get(command, ()))

    monkeypatch.setattr(demo, "_SUBJECTS", 12)
    monkeypatch.setattr(demo, "_run_command", smaller)


def test_training_on_phantoms(tmp_path, capsys, monkeypatch, tiny_weights):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(PRETRAINED, "small", tiny_weights)
    assert main(["demo", "--train", "--steps", "1"]) == 0
    out = capsys.readouterr().out
    assert "ended by steps after step 1" in out
    assert re.search(r"^  super resolution +PSNR, dB +[\d.]+ +[\d.]+ +[\d.]+$", out, re.MULTILINE)
    written = re.findall(r"^  (demo/\S+)$", out, re.MULTILINE)
    assert len(written) >= 6
    for name in written:
        assert (tmp_path / name).is_file()
    # What the weights that come along can do comes first, the toy after its training.
    assert out.index("pretrained_denoising_figure.png") < out.index("neuralizer train") < out.index("toy_segmentation")
    for figure in itertools.product(("pretrained", "toy"), ("segmentation", "denoising")):
        with Image.open(tmp_path / "demo" / f"{'_'.join(figure)}_figure.png") as picture:
            width, height = picture.size
        assert width > 2 * height > 400
    # The demo's example pairs are real images: a brain on a black background, every tissue in it.
    image, labels = (np.asarray(Image.open(tmp_path / f"demo/segmentation/ctx_{kind}2.png")) for kind in ("in", "out"))
    assert image.shape == labels.shape == (192, 192)
    assert set(np.unique(labels)) == {0, 1, 2, 3}
    means = [image[labels == tissue].mean() for tissue in range(4)]
    assert means == sorted(means)
    # Without weights in the package, the same folder gets the predictions of the toy alone.
    commands = []
    monkeypatch.delitem(PRETRAINED, "small")
    monkeypatch.setattr(demo, "_run_command", lambda *command: commands.append(command))
    assert main(["demo", "--train", "--steps", "1"]) == 0
    assert "pretrained" not in capsys.readouterr().out
    assert [command[0] for command in commands] == ["prepare", "episodes", "train", "predict", "predict"]


def test_a_head_is_stripped_and_segmented(tmp_path, capsys, monkeypatch):
    """The commands are recorded; their results are what the head was made from."""
    monkeypatch.chdir(tmp_path)
    commands = []

    def record(*command):
        commands.append(command)
        truth = nib.load("demo/head_truth.nii.gz")
        labels = np.asarray(truth.dataobj)
        mask = "skull-stripping" in command
        values = (labels > 0) & (labels < 500) if mask else np.where(np.isin(labels, (10, 49)), labels, 0)
        nib.save(nib.Nifti1Image(values.astype(np.uint8), truth.affine), command[command.index("--out") + 1])

    monkeypatch.setattr(demo, "_run_command", record)
    assert main(["demo"]) == 0
    assert [command[command.index("--task") + 1] for command in commands] == ["skull-stripping", "segmentation"]
    scan, truth = nib.load("demo/head_T1w.nii.gz"), nib.load("demo/head_truth.nii.gz")
    assert nib.aff2axcodes(scan.affine) == ("L", "P", "S")
    np.testing.assert_array_equal(scan.affine, truth.affine)
    shown = dict(re.findall(r"^  (\S.*?) +(\d\.\d\d)$", capsys.readouterr().out, re.MULTILINE))
    assert float(shown["brain"]) > 0.95
    assert shown["left thalamus"] == "1.00"
