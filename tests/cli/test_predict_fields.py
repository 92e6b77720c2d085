"""`neuralizer predict` of whole scans, besides segmentation from examples: what is written where, what is refused."""

import shutil

import nibabel as nib
import numpy as np
import pytest
from miniature_head import head_affine, head_image, use_as_built_in_head

from neuralizer_jax.cli.main import main
from neuralizer_jax.volumes import alignment

ALIGNED = ("--aligned", "--planes", "coronal", "--examples-per-target", "1", "--weights", "w.safetensors")


@pytest.fixture
def folder(tmp_path, monkeypatch, tiny_weights):
    monkeypatch.chdir(tmp_path)
    shutil.copy(tiny_weights, "w.safetensors")
    use_as_built_in_head(monkeypatch)
    values = head_image()[:, 20:36].astype(np.int16)
    # From anterior to posterior.
    affine = head_affine() @ np.diag([1, -1, 1, 1.0])
    affine[:3, 3] += head_affine()[:3, 1] * 35
    (tmp_path / "scans").mkdir()
    for name in ("sub-1_T1w", "sub-2_T1w"):
        nib.save(nib.Nifti1Image(values[:, ::-1], affine), f"scans/{name}.nii.gz")
    return tmp_path


def predict(*arguments):
    return main(["predict", *map(str, arguments)])


def test_a_restored_scan_lies_on_the_voxels_of_the_scan(folder, capsys):
    target = nib.load("scans/sub-1_T1w.nii.gz")
    assert predict("--task", "denoising", "-i", "scans/sub-1_T1w.nii.gz", "-o", "out.nii.gz", *ALIGNED) == 0
    written = nib.load("out.nii.gz")
    assert written.shape == target.shape
    np.testing.assert_array_equal(written.affine, target.affine)
    assert capsys.readouterr().out.split() == ["out.nii.gz", "out.json"]


def test_a_result_is_kept_if_it_was_made_from_the_same_and_replaced_only_with_overwrite(folder, capsys):
    arguments = ("--task", "denoising", "-i", "scans/sub-1_T1w.nii.gz", "-o", "out.nii.gz", *ALIGNED)
    assert predict(*arguments) == 0
    before, written = (folder / "out.nii.gz").read_bytes(), (folder / "out.nii.gz").stat().st_mtime_ns
    capsys.readouterr()
    assert predict(*arguments) == 0
    assert "out.nii.gz: is there already, made from the same files and options" in capsys.readouterr().out
    assert (folder / "out.nii.gz").stat().st_mtime_ns == written
    # Other options, another scan, a result that was changed by hand.
    assert predict(*arguments, "--planes", "axial") == 2
    assert "out.nii.gz: is there already, made from other files or options" in capsys.readouterr().err
    scan = (folder / "scans/sub-1_T1w.nii.gz").read_bytes()
    shutil.copy("scans/sub-2_T1w.nii.gz", "scans/sub-1_T1w.nii.gz")
    image = nib.load("scans/sub-1_T1w.nii.gz")
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) + np.int16(1), image.affine), "scans/sub-1_T1w.nii.gz")
    assert predict(*arguments) == 2
    (folder / "scans/sub-1_T1w.nii.gz").write_bytes(scan)
    shutil.copy("scans/sub-1_T1w.nii.gz", "out.nii.gz")
    assert predict(*arguments) == 2
    assert predict(*arguments, "--overwrite") == 0
    assert (folder / "out.nii.gz").read_bytes() == before
    # What a killed run left.
    (folder / "out.nii.gz").unlink()
    assert predict(*arguments) == 0
    assert (folder / "out.nii.gz").read_bytes() == before


def test_results_beside_their_scans_are_no_targets(folder, capsys, monkeypatch):
    from neuralizer_jax.volumes import slice_predictions

    monkeypatch.setattr(slice_predictions, "_predict", lambda model, params, x, *context: (x > 0.3).astype(np.float32))
    for _ in range(2):
        assert predict("--task", "skull-stripping", "-i", "scans", "-o", "scans", *ALIGNED) == 0
        assert predict("--task", "denoising", "-i", "scans/sub-1_T1w.nii.gz", "-o", "scans", *ALIGNED) == 0
    names = {f"sub-{n}_{what}.nii.gz" for n in (1, 2) for what in ("T1w", "mask", "brain")} | {"sub-1_denoised.nii.gz"}
    assert {path.name for path in (folder / "scans").glob("*.nii.gz")} == names


def test_a_folder_of_scans_is_skull_stripped_and_one_that_fails_does_not_stop_it(folder, capsys, monkeypatch):
    from neuralizer_jax.volumes import slice_predictions

    # The network finds a brain where the image is bright.
    monkeypatch.setattr(slice_predictions, "_predict", lambda model, params, x, *context: (x > 0.3).astype(np.float32))
    nib.save(nib.Nifti1Image(np.ones((10, 10, 10), np.uint8), np.eye(4)), "scans/sub-3_T1w.nii.gz")
    arguments = ("--task", "skull-stripping", "-i", "scans", "-o", "out", "--report", "page", *ALIGNED)
    assert predict(*arguments) == 1
    shown = capsys.readouterr()
    assert "sub-3_T1w.nii.gz: is constant" in shown.err
    assert {path.name for path in (folder / "out").iterdir()} == {
        f"sub-{n}_{what}" for n in (1, 2) for what in ("mask.nii.gz", "brain.nii.gz", "mask.json")
    }
    index = (folder / "page/index.html").read_text("utf-8")
    assert [f'href="scans/sub-{n}_mask.html"' in index for n in (1, 2, 3)] == [True, True, False]
    mask, brain, scan = (
        np.asarray(nib.load(path).dataobj)
        for path in ("out/sub-1_mask.nii.gz", "out/sub-1_brain.nii.gz", "scans/sub-1_T1w.nii.gz")
    )
    assert set(np.unique(mask)) == {0, 1}
    np.testing.assert_array_equal(brain, np.where(mask, scan, 0))
    before = (folder / "out/sub-1_mask.nii.gz").stat().st_mtime_ns
    assert predict(*arguments) == 1
    assert "sub-1_mask.nii.gz: is there already" in capsys.readouterr().out
    assert (folder / "out/sub-1_mask.nii.gz").stat().st_mtime_ns == before


def test_a_scan_is_segmented_without_context(folder, capsys, monkeypatch):
    registered = []

    def register(scan):
        registered.append(scan.name)
        return alignment.Alignment(np.diag([1.5, 1.5, 1.5, 1]), 0.7)

    monkeypatch.setattr(alignment, "_register", register)
    monkeypatch.setattr(alignment, "_entry", lambda scan, cache: None)  # no place to keep it
    arguments = ("--task", "segmentation", "--labels", "10,49", "--affine", *ALIGNED[1:])
    assert predict("-i", "scans/sub-1_T1w.nii.gz", "-o", "seg.nii.gz", *arguments) == 0
    assert nib.load("seg.nii.gz").shape == nib.load("scans/sub-1_T1w.nii.gz").shape
    table = (folder / "seg.tsv").read_text().splitlines()
    assert [line.split("\t")[:2] for line in table[1:]] == [["10", "left thalamus"], ["49", "right thalamus"]]
    assert registered == ["scans/sub-1_T1w.nii.gz"]
    # An untrained network finds nothing to be trusted, and the head is made too small.
    assert "neuralizer: note: scans/sub-1_T1w.nii.gz: its brain has about 0.6 litres" in capsys.readouterr().err
    before = (folder / "seg.nii.gz").stat().st_mtime_ns
    assert predict("-i", "scans/sub-1_T1w.nii.gz", "-o", "seg.nii.gz", *arguments) == 0
    assert "made from the same files and options" in capsys.readouterr().out
    assert predict("-i", "scans/sub-1_T1w.nii.gz", "-o", "seg.nii.gz", *arguments, "--labels", "10") == 2
    assert (folder / "seg.nii.gz").stat().st_mtime_ns == before


def test_an_image_task_has_examples_of_its_own(folder, capsys, monkeypatch):
    from neuralizer_jax.volumes import slice_predictions

    # The network gives the output of the first example.
    monkeypatch.setattr(slice_predictions, "_predict", lambda model, params, x, images, outputs, *rest: outputs[:, 0])
    (folder / "pairs").mkdir()
    shutil.copy("scans/sub-2_T1w.nii.gz", "pairs/a_in.nii.gz")
    image = nib.load("pairs/a_in.nii.gz")
    output = 5000 - 3 * np.asarray(image.dataobj)
    nib.save(nib.Nifti1Image(output.astype(np.int16), image.affine), "pairs/a_out.nii.gz")
    assert (
        predict("--task", "image", "-i", "scans/sub-1_T1w.nii.gz", "--context", "pairs", "-o", "o.nii.gz", *ALIGNED)
        == 0
    )
    assert "results have the unit of the outputs" in capsys.readouterr().err
    found = np.asarray(nib.load("o.nii.gz").dataobj)
    bright = np.asarray(image.dataobj) > 200
    assert np.median(np.abs(found - output)[bright]) < 10
    (folder / "pairs/a_out.nii.gz").unlink()
    assert predict("--task", "image", "-i", "scans/sub-1_T1w.nii.gz", "--context", "pairs", "-o", "p.nii.gz") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--task", "denoising", "--context", "scans"), "--context: denoising has built-in examples"),
        (("--task", "inpainting", "--labels", "10"), "--labels: is no option of inpainting"),
        (("--task", "inpainting", "--report", "page"), "--report: is no option of inpainting"),
        (("--task", "skull-stripping", "--slice", "y=0"), "--slice: skull-stripping has built-in examples"),
        (("--task", "denoising", "--bootstrap", "4"), "--bootstrap: is no option of denoising"),
        (("--task", "denoising", "--examples-per-target", "0"), "--examples-per-target: is 0, expected 1 or more"),
        (("--task", "segmentation", "--partial"), "--partial: is about examples, expected --context with it"),
        (("--task", "segmentation", "--labels", "999"), "999 is no structure of the built-in heads"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(folder, capsys, arguments, message):
    before = sorted(folder.iterdir())
    given = ("--aligned", "--weights", "w.safetensors", *arguments)
    assert predict("-i", "scans/sub-1_T1w.nii.gz", "-o", "out.nii.gz", *given) == 2
    assert message in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before
