"""`neuralizer predict` of whole scans: which scans, from which examples, and what is written; and what is refused."""

import argparse
import csv
import json
import re
import shutil
from pathlib import Path

import miniature_head as head
import nibabel as nib
import numpy as np
import pytest
from fake_volumes import label_map as volume_labels
from fake_volumes import write_fake_scans
from made_up_scans import AFFINE, LEFT, RIGHT, SHAPE, Predictor, label_map, picture, save

from neuralizer_jax.cli import predict as command
from neuralizer_jax.cli.main import main
from neuralizer_jax.errors import InputError, OutputError


@pytest.fixture
def folder(tmp_path, monkeypatch, tiny_weights):
    """The working folder: a target and three annotated scans."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(tiny_weights, "w.safetensors")
    save("sub-9_T1w.nii.gz", picture(9))
    for number in (1, 2, 3):
        save(f"ann/sub-{number}_T1w.nii.gz", picture(number))
        save(f"ann/sub-{number}_dseg.nii.gz", label_map(LEFT, RIGHT))
    return tmp_path


def run(*arguments, predictor=None, target="sub-9_T1w.nii.gz", context="ann", out="o_dseg.nii.gz"):
    """Runs the command with a made-up prediction; returns its status and the predictor."""
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    usual = ["predict", "--weights", "w.safetensors", "--task", "segmentation", "--aligned", "--affine", "--out", out]
    usual += ["--target", *([target] if isinstance(target, str) else target)]
    usual += ["--context", context] if context else []
    options = parser.parse_args([*usual, *map(str, arguments)])
    options.command_line = "neuralizer predict"
    predictor = predictor or Predictor()
    return command.run(options, predict_volume=predictor), predictor


def snapshot():
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def test_labels_lie_on_the_target_and_the_table_tells_their_size(folder, capsys):
    Path("ann/dseg.tsv").write_text("index\tname\n17\tLeft-Hippocampus\n53\t=1+1\n")
    assert run("--probabilities")[0] == 0
    written, target = nib.load("o_dseg.nii.gz"), nib.load("sub-9_T1w.nii.gz")
    np.testing.assert_array_equal(np.asarray(written.dataobj), np.where(picture(9) > 850, LEFT, 0))
    np.testing.assert_array_equal(written.affine, target.affine)
    assert (int(written.header["sform_code"]), int(written.header["qform_code"])) == (1, 1)
    with open("o_dseg.tsv") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    voxels = int((picture(9) > 850).sum())
    assert [tuple(row.values()) for row in rows] == [
        ("17", "Left-Hippocampus", f"{voxels}", f"{6.0 * voxels:.1f}", "0.750"),
        ("53", "'=1+1", "0", "0.0", "n/a"),
    ]
    assert list(rows[0]) == ["index", "name", "voxels", "mm3", "confidence"]
    assert nib.load("o_probseg.nii.gz").shape == (*SHAPE, 2)
    printed = capsys.readouterr()
    assert printed.out.splitlines() == ["o_dseg.nii.gz", "o_dseg.tsv", "o_dseg.json", "o_probseg.nii.gz"]
    assert printed.err == "neuralizer: note: sub-9_T1w.nii.gz: =1+1 was not found\n"


def test_labels_of_freesurfer_have_their_names(folder):
    for number in (1, 2, 3):
        Path(f"ann/sub-{number}_dseg.nii.gz").rename(f"ann/sub-{number}_desc-aseg_dseg.nii.gz")
    run()
    assert "\n17\tleft hippocampus\t" in Path("o_dseg.tsv").read_text()


def test_names_of_a_protocol_are_asked_for_and_not_guessed(folder, capsys):
    run()
    assert "labels have no names: --label-names freesurfer, if their numbers are" in capsys.readouterr().err
    assert "\n17\tn/a\t" in Path("o_dseg.tsv").read_text()
    run("--label-names", "freesurfer", "--overwrite")
    assert "have no names" not in capsys.readouterr().err
    assert "\n17\tleft hippocampus\t" in Path("o_dseg.tsv").read_text()


def test_what_is_asked_for_reaches_the_prediction(folder):
    _, predictor = run("--labels", "53", "--examples-per-target", 2, "--planes", "axial,coronal")
    (call,) = predictor.calls
    assert (call.labels, call.examples_per_target, call.deformable) == ((53,), 2, False)
    assert (call.planes, call.aligned, len(call.examples)) == (("axial", "coronal"), True, 3)
    assert [example.annotated for example in call.examples] == [(53,)] * 3


def test_mgz_in_and_out(folder):
    save("t.mgz", picture(9))
    run(target="t.mgz", out="o.mgz")
    written = nib.load("o.mgz")
    np.testing.assert_array_equal(np.asarray(written.dataobj) > 0, picture(9) > 850)
    np.testing.assert_allclose(written.affine, AFFINE, atol=1e-5)
    assert Path("o.tsv").exists()


@pytest.mark.parametrize(
    ("targets", "results"),
    [
        (["sub-9_T1w.nii.gz", "sub-8_ses-1_T1w.nii"], ["sub-9_dseg.nii.gz", "sub-8_ses-1_dseg.nii"]),
        (["sub-9_T1w.nii.gz", "sub-9_T2w.nii.gz"], ["sub-9_T1w_dseg.nii.gz", "sub-9_T2w_dseg.nii.gz"]),
        (["scan a.mgz", "deeper/b.nii.gz"], ["scan a_dseg.mgz", "b_dseg.nii.gz"]),
    ],
)
def test_names_in_a_folder(folder, targets, results):
    for number, target in enumerate(targets):
        save(target, picture(20 + number))
    assert run(target=targets, out="new/er")[0] == 0
    assert {path.name for path in Path("new/er").glob("*dseg*") if path.suffix not in (".tsv", ".json")} == set(results)


def test_of_a_folder_of_targets_labels_and_examples_are_left_out(folder, capsys):
    save("ann/sub-4_T1w.nii.gz", picture(4))
    _, predictor = run(target="ann", out="new")
    assert [call.target.name for call in predictor.calls] == ["ann/sub-4_T1w.nii.gz"]
    err = capsys.readouterr().err
    assert "sub-1_T1w.nii.gz, sub-2_T1w.nii.gz, sub-3_T1w.nii.gz: in the context, so not predicted" in err
    assert "no labels" not in err


def test_in_a_folder_of_targets_only_the_contrast_of_the_examples_is_predicted(folder, capsys):
    for name in ("sub-1_FLAIR", "sub-4_FLAIR", "sub-4_T1w", "another"):
        save(f"ann/{name}.nii.gz", picture(len(name)))
    _, predictor = run(target="ann", out="new")
    assert [call.target.name for call in predictor.calls] == ["ann/another.nii.gz", "ann/sub-4_T1w.nii.gz"]
    assert "sub-1_FLAIR.nii.gz, sub-4_FLAIR.nii.gz: not T1w as the examples" in capsys.readouterr().err


def test_a_bad_scan_is_reported_at_the_end_and_does_not_stop_the_others(folder, capsys):
    Path("bad.nii.gz").write_bytes(b"text")
    for number in (5, 6):
        save(f"s{number}.nii.gz", picture(number))
    targets = ["bad.nii.gz", "s5.nii.gz", "s6.nii.gz"]
    status, _ = run(target=targets, out="new", predictor=Predictor(fail=["s5.nii.gz"]))
    assert status == 1
    assert sorted(path.name for path in Path("new").iterdir()) == ["s6_dseg.json", "s6_dseg.nii.gz", "s6_dseg.tsv"]
    *_, first, second, last = capsys.readouterr().err.splitlines()
    assert first.startswith("neuralizer: error: bad.nii.gz: ")
    assert second == "neuralizer: error: s5.nii.gz: is no head"
    assert last == "neuralizer: 2 of 3 targets failed"


def test_a_full_disk_stops_everything(folder):
    save("s5.nii.gz", picture(5))

    def full(*_, **__):
        raise OutputError("o.nii.gz: cannot be written (No space left on device)")

    with pytest.raises(OutputError):
        run(target=["sub-9_T1w.nii.gz", "s5.nii.gz"], out="new", predictor=full)


def test_a_finished_target_is_not_computed_again(folder, capsys):
    arguments = ("--probabilities",)
    run(*arguments)
    before = snapshot()
    capsys.readouterr()
    _, predictor = run(*arguments)
    assert predictor.calls == []
    assert capsys.readouterr().out == "o_dseg.nii.gz: is there already, made from the same files and options\n"
    assert snapshot() == before
    Path("o_probseg.nii.gz").unlink()
    assert len(run(*arguments)[1].calls) == 1
    assert snapshot().keys() == before.keys()


def changed_by_hand():
    save("o_dseg.nii.gz", label_map(LEFT))


def another_scan():
    save("sub-9_T1w.nii.gz", picture(10))


def another_example():
    save("ann/sub-2_dseg.nii.gz", label_map(RIGHT, LEFT))


def record_is_lost():
    Path("o_dseg.json").unlink()


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (changed_by_hand, ()),
        (another_scan, ()),
        (another_example, ()),
        (record_is_lost, ()),
        (None, ("--examples-per-target", 2)),
    ],
)
def test_other_results_are_replaced_only_with_overwrite(folder, change, options):
    run()
    if change:
        change()
    before = snapshot()
    with pytest.raises(InputError, match=r"^o_dseg.nii.gz: is there already"):
        run(*options)
    assert snapshot() == before
    assert len(run(*options, "--overwrite")[1].calls) == 1
    assert run(*options)[1].calls == []


def test_a_killed_run_goes_on(folder, monkeypatch):
    """The labels are written last, so what is there without them may be replaced."""

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("neuralizer_jax.cli.volume_results.write_labels", killed)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert not Path("o_dseg.nii.gz").exists()
    assert len(run()[1].calls) == 1


def test_a_head_from_its_scan_to_its_labels(folder):
    """The whole command with the network in the package: a stripped head, turned, in another order of axes."""
    head.save(Path("heads/s1.nii.gz"), head.head_image(skull_stripped=True, seed=1))
    head.save(Path("heads/s1_seg.nii.gz"), head.head_segmentation().astype(np.uint8), orientation="LIA")
    target = Path("t.nii.gz")
    head.save(target, head.head_image(skull_stripped=True), head.posed((4, -3, 5), (5, -4, 3)), orientation="PSR")
    command = ["predict", "--task", "segmentation", "-i", str(target), "--context", "heads", "-o", "o.nii.gz"]
    assert main([*command, "--labels", "10", "--planes", "coronal", "--transforms", "--bootstrap", "2"]) == 0
    found = nib.as_closest_canonical(nib.load("o.nii.gz"))
    true = head.head_labels() == 10
    marked = np.asarray(found.dataobj) == 10
    assert 2 * np.sum(marked & true) / (marked.sum() + true.sum()) > 0.8
    moved = np.loadtxt("o_to-MNI152.txt") @ head.posed((4, -3, 5), (5, -4, 3))
    corner = np.array([*true.shape, 1.0])
    assert np.abs(moved @ corner - head.head_affine() @ corner).max() < 4
    assert nib.load("o_to-MNI152_warp.nii.gz").shape == (48, 56, 48, 1, 3)
    assert nib.load("o_std.nii.gz").shape == (*nib.load(target).shape, 1)


# Which examples were annotated for what


def annotated(*arguments):
    _, predictor = run(*arguments)
    return [example.annotated for example in predictor.calls[0].examples]


def test_by_default_every_example_was_annotated_for_all_labels(folder, capsys):
    for number in (2, 3):
        save(f"ann/sub-{number}_dseg.nii.gz", label_map(LEFT))
    assert annotated() == [(LEFT, RIGHT)] * 3
    note = "of 3 examples, label 53 in 1: the others count as without it (--partial: as not annotated for it)"
    assert note in capsys.readouterr().err


def test_partial_examples(folder, capsys):
    save("ann/sub-2_dseg.nii.gz", label_map(LEFT))
    assert annotated("--partial") == [(LEFT, RIGHT), (LEFT,), (LEFT, RIGHT)]
    assert "label 53 in" not in capsys.readouterr().err


@pytest.mark.parametrize(("place", "arguments"), [("ann/labels.json", ()), ("x.json", ("--partial", "x.json"))])
def test_a_json_file_says_what_was_annotated(folder, place, arguments):
    Path("ann/dseg.tsv").write_text("17\tLeft-Hippocampus\n53\tRight-Hippocampus\n")
    save("ann/sub-2_dseg.nii.gz", label_map(LEFT))
    Path(place).write_text(json.dumps({"sub-2": [LEFT], "sub-3_T1w": "Right-Hippocampus"}))
    assert annotated(*arguments) == [(LEFT, RIGHT), (LEFT,), (RIGHT,)]


def test_an_example_without_a_structure_is_one_if_it_was_annotated_for_it(folder):
    save("ann/sub-2_dseg.nii.gz", label_map())
    assert annotated() == [(LEFT, RIGHT)] * 3


def test_a_prepared_dataset(folder, capsys, tmp_path):
    scans = write_fake_scans(tmp_path, {"s": "train"})
    _, predictor = run(context=str(scans), target="sub-9_T1w.nii.gz")
    (call,) = predictor.calls
    assert [example.scan.name.rpartition(": ")[2] for example in call.examples] == ["s"]
    assert {10, 17, 53} <= set(call.labels)
    assert call.examples[0].annotated == call.labels
    np.testing.assert_array_equal(call.examples[0].labels == 10, volume_labels(0) == 10)
    with open("o_dseg.tsv") as stream:
        assert {row["index"]: row["name"] for row in csv.DictReader(stream, delimiter="\t")}["17"] == "left hippocampus"
    assert run(context=str(scans))[1].calls == []


def test_a_prediction_is_no_example_until_it_is_corrected(folder, capsys):
    save("ann/sub-9_T1w.nii.gz", picture(9))
    usual = {"target": "ann/sub-9_T1w.nii.gz", "out": "ann/sub-9_dseg.nii.gz"}
    run(**usual)
    capsys.readouterr()
    assert run(**usual)[1].calls == []
    assert "sub-9_dseg.nii.gz: predicted, so no example" in capsys.readouterr().err
    corrected = np.asarray(nib.load("ann/sub-9_dseg.nii.gz").dataobj).copy()
    corrected[0, 0] = LEFT
    save("ann/sub-9_dseg.nii.gz", corrected)
    save("new.nii.gz", picture(8))
    assert len(run(target="new.nii.gz")[1].calls[0].examples) == 4


def test_headers_that_contradict_themselves_are_noted(folder, capsys):
    for path in ("sub-9_T1w.nii.gz", "ann/sub-2_T1w.nii.gz"):
        image = nib.load(path)
        image = nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
        image.set_qform(image.affine @ np.diag([-1, 1, 1, 1]), 1)
        nib.save(image, f"x_{Path(path).name}")
        Path(f"x_{Path(path).name}").replace(path)
    run()
    notes = [line for line in capsys.readouterr().err.splitlines() if "disagree about left and right" in line]
    assert [note.split(": ")[2] for note in notes] == ["ann/sub-2_T1w.nii.gz", "sub-9_T1w.nii.gz"]


def test_lists_of_examples(folder):
    lists = ["--context-in", "ann/sub-2_T1w.nii.gz", "--context-out", "ann/sub-2_dseg.nii.gz"]
    _, predictor = run(*lists, context=None)
    assert [example.scan.name for example in predictor.calls[0].examples] == ["ann/sub-2_T1w.nii.gz"]


# What is refused: in one line, before anything is computed or written

REFUSED = {
    "option of planes": (None, ["--augment"], "--augment: is an option of images and planes"),
    "negative draws": (None, ["--bootstrap", "-1"], "--bootstrap: is -1, expected 0 or more"),
    "figure": (None, ["--figure", "f.png"], "--figure: is an option of images and planes"),
    "no examples per target": (None, ["--examples-per-target", "0"], "--examples-per-target: is 0, expected 1 or more"),
    "transforms of nothing": (None, ["--transforms"], "--transforms: no affine map is found with --aligned"),
    "no table of names": (None, ["--label-names", "freesurf"], "--label-names: no file freesurf, expected one, or"),
    "absent label": (None, ["--labels", "18"], "--labels: 18 is in no example, expected some of 17, 53"),
    "labels elsewhere": (
        lambda: save("ann/sub-2_dseg.nii.gz", label_map(LEFT), AFFINE + np.eye(4, k=3)),
        [],
        "ann/sub-2_dseg.nii.gz: lies on other voxels than its image ann/sub-2_T1w.nii.gz",
    ),
    "fractional labels": (
        lambda: save("ann/sub-2_dseg.nii.gz", label_map(1) * np.float32(0.3)),
        [],
        "ann/sub-2_dseg.nii.gz: holds the value 0.3",
    ),
    "negative labels": (
        lambda: save("ann/sub-2_dseg.nii.gz", -label_map(LEFT).astype(np.int16)),
        [],
        "ann/sub-2_dseg.nii.gz: holds -17, expected labels from 0",
    ),
    "empty labels": (
        lambda: [save(f"ann/sub-{n}_dseg.nii.gz", label_map()) for n in (1, 2, 3)],
        [],
        "the labels of all examples are 0 everywhere",
    ),
    "masks of 1 and 255": (
        lambda: [save(f"ann/sub-{n}_dseg.nii.gz", label_map(255 if n > 1 else 1)) for n in (1, 2, 3)],
        [],
        "is a mask of 255, expected masks of one value",
    ),
    "target without orientation": (
        lambda: save("sub-9_T1w.nii.gz", picture(9), code=0),
        [],
        "sub-9_T1w.nii.gz: left and right cannot be known",
    ),
    "target is an example, stored differently": (
        lambda: save("sub-9_T1w.nii.gz", 3 * picture(1) - 100),
        [],
        "sub-9_T1w.nii.gz: is the example ann/sub-1_T1w.nii.gz",
    ),
    "constant target": (lambda: save("sub-9_T1w.nii.gz", 0 * picture(9)), [], "sub-9_T1w.nii.gz: is constant"),
    "unknown example": (
        lambda: Path("ann/labels.json").write_text('{"sub-7": [17]}'),
        [],
        "ann/labels.json: sub-7 begins the name of no example",
    ),
    "no JSON": (lambda: Path("x.json").write_text("{"), ["--partial", "x.json"], "x.json: cannot be read"),
    "output in no folder": (None, ["--out", "none/o.nii.gz"], "none/o.nii.gz: cannot be written"),
    "output that is no volume": (None, ["--out", "o.png"], "o.png: is no volume by its name"),
    "output is an example": (
        None,
        ["--out", "ann/sub-1_dseg.nii.gz"],
        "ann/sub-1_dseg.nii.gz: is an input of this prediction",
    ),
    "target in the context": (None, ["--target", "ann/sub-1_T1w.nii.gz"], "the target is in its own context"),
    "no scans left": (None, ["--target", "ann", "--out", "new"], "ann: no scans in this folder besides the examples"),
    "one file for two": (
        lambda: save("b.nii.gz", picture(3)),
        ["--target", "sub-9_T1w.nii.gz", "b.nii.gz"],
        "o_dseg.nii.gz: is one file for 2 targets",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(folder, name):
    spoil, arguments, message = REFUSED[name]
    if spoil:
        spoil()
    before, predictor = snapshot(), Predictor()
    with pytest.raises(InputError) as caught:
        run(*arguments, predictor=predictor)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()
    assert (snapshot(), predictor.calls) == (before, [])


@pytest.mark.parametrize("arguments", [["--slice", "y=1"], ["--task", "image", "--slice", "y=1"]])
def test_options_of_scans_are_refused_for_planes(folder, arguments):
    with pytest.raises(InputError, match="--affine: is an option of whole scans"):
        run(*arguments)


def summary_of(page):
    return json.loads(re.search(r'id="summary">(.*?)</script>', Path(page).read_text("utf-8"))[1])


def test_one_scan_has_its_page(folder, capsys):
    Path("ann/dseg.tsv").write_text("index\tname\n17\tLeft-Hippocampus\n53\t<b>right</b>\n")
    assert run("--report", "new/page")[0] == 0
    assert "new/page/index.html" in capsys.readouterr().out.splitlines()
    page = Path("new/page/index.html").read_text("utf-8")
    assert summary_of("new/page/index.html")["name"] == "sub-9_T1w.nii.gz"
    assert "Left-Hippocampus" in page
    assert "<b>right" not in page
    assert re.search(r"w\.safetensors, SHA-256 [0-9a-f]{64}", page)
    assert run("--report", "new/page")[1].calls == []  # finished
    Path("new/page/index.html").unlink()
    assert len(run("--report", "new/page")[1].calls) == 1


def test_several_scans_have_an_index_that_keeps_earlier_ones(folder):
    for name in ("a", "index", "bad"):
        save(f"scans/{name}.nii.gz", picture(ord(name[0])))
    assert run("--report", "page", target="scans", out="out", predictor=Predictor(fail=("scans/bad.nii.gz",)))[0] == 1
    pages = {path.name for path in Path("page/scans").iterdir()}
    assert pages == {"a.html", "index.html"}
    links = re.findall(r'href="(.*?)"', Path("page/index.html").read_text("utf-8"))
    assert sorted(links) == ["scans/a.html", "scans/index.html"]
    _, predictor = run("--report", "page", target="scans", out="out")
    assert [call.target.name for call in predictor.calls] == ["scans/bad.nii.gz"]
    assert Path("page/index.html").read_text("utf-8").count('href="scans/') == 3


def test_the_page_of_another_scan_is_not_replaced(folder):
    run("--report", "page")
    save("other.nii.gz", picture(5))
    with pytest.raises(InputError, match=r"page/index\.html: is there already"):
        run("--report", "page", target="other.nii.gz", out="other_dseg.nii.gz")
    assert summary_of("page/index.html")["name"] == "sub-9_T1w.nii.gz"


@pytest.mark.parametrize(
    ("report", "message"),
    [
        ("file", "file: this folder cannot be made, file is no folder"),
        ("file/page", "file is no folder"),
        ("taken", "is a folder, expected the name of a file"),
    ],
)
def test_a_folder_that_cannot_be_made_is_refused_before_the_first_prediction(folder, report, message):
    Path("file").write_text("")
    Path("taken/index.html").mkdir(parents=True)
    predictor = Predictor()
    with pytest.raises(InputError, match=message):
        run("--report", report, predictor=predictor)
    assert not predictor.calls
