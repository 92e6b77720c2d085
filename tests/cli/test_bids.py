"""`neuralizer bids`: which scans are segmented, where results lie, how a run goes on, and what is refused."""

import argparse
import csv
import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from made_up_scans import LEFT, RIGHT, Predictor, label_map, picture, save, strip

from neuralizer_jax import __version__
from neuralizer_jax.cli import bids as command
from neuralizer_jax.cli.bids_participant import segment_participants
from neuralizer_jax.cli.main import main
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.example_volumes import find_examples


def describe(folder, **more):
    text = {"Name": "made up", "BIDSVersion": "1.10.1", "DatasetType": "raw", "License": "CC0", **more}
    folder.joinpath("dataset_description.json").write_text(json.dumps(text))


@pytest.fixture
def folder(tmp_path, monkeypatch, tiny_weights):
    """Two subjects, one with two sessions, and three annotated scans elsewhere."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(tiny_weights, "w.safetensors")
    names = ["sub-01/anat/sub-01", "sub-02/ses-a/anat/sub-02_ses-a_run-1", "sub-02/ses-b/anat/sub-02_ses-b"]
    for number, name in enumerate(names):
        save(f"data/{name}_T1w.nii.gz", picture(10 + number))
    for number in (1, 2, 3):
        save(f"ann/sub-{number}_T1w.nii.gz", picture(number))
        save(f"ann/sub-{number}_dseg.nii.gz", label_map(LEFT, RIGHT))
    Path("ann/dseg.tsv").write_text("index\tname\n17\tLeft-Hippocampus\n53\tRight-Hippocampus\n")
    describe(Path("data"))
    return tmp_path


def run(*arguments, out="out", predictor=None, context="ann", data="data", level="participant"):
    """Runs the command with a made-up prediction; returns its status and the scans that were segmented."""
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    given = ["bids", data, out, level, "--weights", "w.safetensors", *map(str, arguments)]
    options = parser.parse_args([*given, *(["--context", context] if context else [])])
    options.command_line, options.aligned = "neuralizer bids", True
    if level == "group":
        return command.run(options), []
    predictor = predictor or Predictor()
    status = segment_participants(options, predictor, strip)
    return status, [call.target.name for call in predictor.calls]


def files(root="out"):
    return {path.relative_to(root).as_posix() for path in Path(root).rglob("*") if path.is_file()}


def rows(path):
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


RESULTS = {"dseg.nii.gz", "dseg.tsv", "dseg.json", "desc-brain_mask.nii.gz", "desc-brain_mask.json"}


def results(*stems):
    return {f"{stem}_{ending}" for stem in stems for ending in RESULTS}


FIRST, SECOND, THIRD = "sub-01/anat/sub-01", "sub-02/ses-a/anat/sub-02_ses-a_run-1", "sub-02/ses-b/anat/sub-02_ses-b"


def test_every_scan_has_labels_table_mask_and_page(folder, capsys):
    assert run()[0] == 0
    pages = {"sub-01.html", "sub-02.html"} | {f"sub-02/figures/{Path(stem).name}.html" for stem in (SECOND, THIRD)}
    about = {"dataset_description.json", ".bidsignore", "README.md"}
    assert files() == results(FIRST, SECOND, THIRD) | pages | about
    scan, labels, mask = (
        nib.load(x)
        for x in (
            "data/" + FIRST + "_T1w.nii.gz",
            *(f"out/{FIRST}_{what}.nii.gz" for what in ("dseg", "desc-brain_mask")),
        )
    )
    np.testing.assert_array_equal(np.asarray(labels.dataobj), np.where(picture(10) > 850, LEFT, 0))
    np.testing.assert_array_equal(np.asarray(mask.dataobj), picture(10) > 400)
    np.testing.assert_array_equal(mask.affine, scan.affine)
    assert [row["name"] for row in rows(f"out/{FIRST}_dseg.tsv")] == ["Left-Hippocampus", "Right-Hippocampus"]
    index = Path("out/sub-02.html").read_text("utf-8")
    assert [f'href="sub-02/figures/{Path(stem).name}.html"' in index for stem in (SECOND, THIRD)] == [True, True]


def test_metadata_tells_sources_and_versions(folder):
    run(out="data/derivatives/neuralizer")
    out = Path("data/derivatives/neuralizer")
    about = json.loads((out / "dataset_description.json").read_text())
    assert (about["DatasetType"], about["License"]) == ("derivative", "CC0")
    assert about["GeneratedBy"][0]["Version"] == __version__
    links = {"raw": "../..", "examples": (folder / "ann").as_uri()}
    assert about["DatasetLinks"] == links
    own = json.loads((out / f"{FIRST}_dseg.json").read_text())
    assert own["Sources"] == [
        f"bids:raw:{FIRST}_T1w.nii.gz",
        *(f"bids:examples:sub-{n}_{what}.nii.gz" for what in ("T1w", "dseg") for n in (1, 2, 3)),
    ]
    assert {"voxels", "mm3", "confidence"} <= own.keys()
    mask = json.loads((out / f"{FIRST}_desc-brain_mask.json").read_text())
    assert (mask["Sources"], mask["Type"]) == ([f"bids:raw:{FIRST}_T1w.nii.gz"], "Brain")
    for file in (own, mask):
        assert (file["SpatialReference"], file["GeneratedBy"][0]["Version"]) == ("orig", __version__)


def test_other_examples_do_not_change_the_links_of_earlier_results(folder):
    run("--participant-label", "01")
    shutil.copytree("ann", "other")
    run("--session-label", "b", context="other")
    links = json.loads(Path("out/dataset_description.json").read_text())["DatasetLinks"]
    assert (links["examples"], links["examples2"]) == tuple((folder / name).as_uri() for name in ("ann", "other"))
    assert "bids:examples2:sub-1_T1w.nii.gz" in json.loads(Path(f"out/{THIRD}_dseg.json").read_text())["Sources"]


@pytest.mark.parametrize(
    ("arguments", "segmented"),
    [
        (["--participant-label", "sub-02"], [SECOND, THIRD]),
        (["--participant_label", "02", "01"], [FIRST, SECOND, THIRD]),
        (["--session-label", "b"], [THIRD]),
        (["--session-id", "ses-a", "--participant-label", "02"], [SECOND]),
    ],
)
def test_some_subjects_or_sessions(folder, arguments, segmented):
    predictor = Predictor(fail=[f"data/{stem}_T1w.nii.gz" for stem in (FIRST, SECOND, THIRD)])
    assert run(*arguments, predictor=predictor)[1] == [f"data/{stem}_T1w.nii.gz" for stem in segmented]


def test_sessions_are_added_to_the_page_of_their_subject(folder):
    for session in ("a", "b"):
        run("--session-label", session)
    assert Path("out/sub-02.html").read_text("utf-8").count('href="sub-02/figures/') == 2


def test_derivatives_other_contrasts_and_phases_are_no_targets(folder, capsys):
    for name in ("sub-01_FLAIR", "sub-01_T1map", "sub-01_part-phase_T1w"):
        save(f"data/sub-01/anat/{name}.nii.gz", picture(len(name)))
    save("data/derivatives/prep/sub-01/anat/sub-01_desc-preproc_T1w.nii.gz", picture(70))
    save("data/sub-01/func/sub-01_task-rest_bold.nii.gz", picture(71))
    save("data/sub-01/anat/sub-01_T1w (copy).nii.gz", picture(72))
    assert run("--participant-label", "01")[1] == [f"data/{FIRST}_T1w.nii.gz"]
    err = capsys.readouterr().err
    assert "T1w is segmented, FLAIR is not (--contrast)" in err
    assert "sub-01_T1w (copy).nii.gz: " in err
    assert run("--contrast", "FLAIR", out="flair")[1] == ["data/sub-01/anat/sub-01_FLAIR.nii.gz"]
    err = capsys.readouterr().err
    assert "the examples are T1w, not FLAIR as the scans" in err
    assert "sub-02: no such FLAIR scan, so no result" in err


def test_results_have_names_of_bids(folder):
    """The session of the folder, the parts of the name, without its description; `.nii` becomes `.nii.gz`."""
    save("data/sub-03/ses-1/anat/sub-03_acq-fast_desc-preproc_T1w.nii", picture(33))
    run("--participant-label", "03")
    assert results("sub-03/ses-1/anat/sub-03_ses-1_acq-fast") < files()


def test_of_two_scans_with_one_result_neither_is_taken(folder, capsys):
    save("data/sub-01/anat/sub-01_desc-preproc_T1w.nii.gz", picture(33))
    status, segmented = run()
    assert (status, segmented) == (1, [f"data/{stem}_T1w.nii.gz" for stem in (SECOND, THIRD)])
    assert capsys.readouterr().err.count("another scan gives sub-01_dseg too") == 2


def test_the_dataset_holds_the_examples(folder, capsys):
    """Its derivatives are examples, of others and not our own."""
    save(f"data/derivatives/manual/{FIRST}_dseg.nii.gz", label_map(LEFT))
    out = "data/derivatives/neuralizer"
    assert run(context="data", out=out)[1] == [f"data/{stem}_T1w.nii.gz" for stem in (SECOND, THIRD)]
    assert "sub-01_T1w.nii.gz: in the context, so not predicted" in capsys.readouterr().err
    sources = json.loads(Path(f"{out}/{THIRD}_dseg.json").read_text())["Sources"]
    assert sources[2] == f"bids:raw:derivatives/manual/{FIRST}_dseg.nii.gz"
    assert run(context="data", out=out)[1] == []
    assert [path.name for path in find_examples(Path("data")).inputs] == ["sub-01_T1w.nii.gz"]


def test_a_bad_scan_is_reported_at_the_end_and_does_not_stop_the_others(folder, capsys):
    Path("data/sub-04/anat").mkdir(parents=True)
    Path("data/sub-04/anat/sub-04_T1w.nii.gz").write_bytes(b"text")
    Path("data/sub-05/anat").mkdir(parents=True)
    Path("data/sub-05/anat/sub-05_T1w.nii.gz").symlink_to("../../../.git/annex/objects/none")
    predictor = Predictor(fail=[f"data/{SECOND}_T1w.nii.gz"])
    assert run(predictor=predictor)[0] == 1
    assert results(FIRST, THIRD) < files()
    *_, first, second, third, last = capsys.readouterr().err.splitlines()
    assert sorted(line.split(": ")[2] for line in (first, second, third)) == [
        f"data/{SECOND}_T1w.nii.gz", "data/sub-04/anat/sub-04_T1w.nii.gz", "data/sub-05/anat/sub-05_T1w.nii.gz",
    ]  # fmt: skip
    assert "was it fetched?" in first + second + third
    assert last == "neuralizer: 3 of 5 targets failed"


def test_a_run_goes_on_where_it_was_stopped(folder, capsys):
    run("--session-label", "a")
    before = {path: Path("out", path).stat().st_mtime_ns for path in results(SECOND)}
    assert run()[1] == [f"data/{stem}_T1w.nii.gz" for stem in (FIRST, THIRD)]
    Path(f"out/{SECOND}_desc-brain_mask.nii.gz").unlink()
    assert run()[1] == []
    assert Path(f"out/{SECOND}_desc-brain_mask.nii.gz").exists()
    after = {path: Path("out", path).stat().st_mtime_ns for path in before}
    assert {path.rpartition("_")[2] for path in before if before[path] != after[path]} == {"mask.nii.gz", "mask.json"}


def test_a_correction_by_hand_is_kept(folder):
    run("--participant-label", "01")
    save(f"out/{FIRST}_dseg.nii.gz", label_map(LEFT))
    with pytest.raises(InputError, match="is there already, made from other files or options"):
        run()
    assert len(run("--participant-label", "01", "--overwrite")[1]) == 1


def test_a_stripped_brain_has_no_mask(folder, capsys):
    values = np.zeros((30, 30, 30), np.int16)
    values[5:25, 5:25, 5:25] = np.random.default_rng(0).integers(500, 900, (20, 20, 20))
    save("data/sub-01/anat/sub-01_T1w.nii.gz", values)
    assert run("--participant-label", "01")[0] == 0
    assert "shows a brain without skull, so there is no brain mask" in capsys.readouterr().err
    assert {name for name in files() if "mask" in name} == set()


REFUSED = {
    "no dataset": (None, {"data": "ann"}, [], "ann: has no folders such as sub-01, expected a BIDS dataset"),
    "no folder": (None, {"data": "none"}, [], "none: does not exist, expected a BIDS dataset"),
    "the dataset itself": (None, {"out": "data"}, [], "data: is the dataset itself, expected another folder such as"),
    "another dataset": (
        lambda: (Path("out").mkdir(), describe(Path("out"))),
        {},
        [],
        "out/dataset_description.json: describes another dataset",
    ),
    "unknown subject": (None, {}, ["--participant-label", "07"], "there is no sub-07, expected some of 01, 02"),
    "unknown session": (None, {}, ["--session-label", "c"], "there is no ses-c, expected some of a, b"),
    "unknown contrast": (None, {}, ["--contrast", "T2w"], "data: has no T2w in the anat folders"),
    "no number": (None, {}, ["--examples-per-target", "0"], "--examples-per-target: is 0"),
    "unknown label": (None, {}, ["--labels", "18"], "--labels: 18 is in no example"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(folder, name):
    spoil, places, arguments, message = REFUSED[name]
    if spoil:
        spoil()
    before = files(".")
    with pytest.raises(InputError) as caught:
        run(*arguments, **places)
    assert message in str(caught.value)
    assert files(".") == before


def test_what_is_rarely_meant_is_noted(folder, capsys):
    Path("data/dataset_description.json").unlink()
    run("--participant-label", "01", out="data/out")
    err = capsys.readouterr().err
    assert "data: has no dataset_description.json with Name and BIDSVersion" in err
    assert "data/out: lies in the dataset" in err
    run("--participant-label", "01", "--skip-bids-validation")
    assert "dataset_description" not in capsys.readouterr().err


# The group


def test_the_group_has_a_table_of_all_scans_and_a_list_of_pages(folder, capsys):
    run("--participant-label", "02")
    assert run(level="group")[0] == 0
    assert "sub-01: no results yet" in capsys.readouterr().err
    run()
    run(level="group")
    assert "no results yet" not in capsys.readouterr().err
    table = rows("out/group_dseg.tsv")
    assert [(row["participant_id"], row["session_id"], row["index"]) for row in table] == [
        (subject, session, label)
        for subject, session in (("sub-01", "n/a"), ("sub-02", "ses-a"), ("sub-02", "ses-b"))
        for label in ("17", "53")
    ]
    first = rows(f"out/{FIRST}_dseg.tsv")[0]
    assert first.items() <= table[0].items()
    assert table[0]["scan"] == f"{FIRST}_T1w.nii.gz"
    assert float(table[0]["brain_mm3"]) == pytest.approx(6 * (picture(10) > 400).sum(), abs=0.1)
    assert json.loads(Path("out/group_dseg.json").read_text()).keys() == table[0].keys()
    assert Path("out/group.html").read_text("utf-8").count('href="sub-0') == 3
    run("--session-label", "b", level="group")
    assert {row["session_id"] for row in rows("out/group_dseg.tsv")} == {"ses-b"}


def test_volumes_in_the_group_are_those_of_a_correction(folder, capsys):
    run("--participant-label", "01")
    save(f"out/{FIRST}_dseg.nii.gz", label_map(LEFT, 99))
    run(level="group")
    assert "sub-01_dseg.nii.gz: corrected by hand" in capsys.readouterr().err
    values = [(row["index"], row["name"], row["mm3"], row["confidence"]) for row in rows("out/group_dseg.tsv")]
    box = f"{6.0 * (label_map(LEFT) > 0).sum():.1f}"
    assert values == [
        ("17", "Left-Hippocampus", box, "n/a"), ("53", "Right-Hippocampus", "0.0", "n/a"), ("99", "n/a", box, "n/a"),
    ]  # fmt: skip


def test_a_group_without_results_is_refused(folder, capsys):
    Path("out").mkdir()
    assert main(["bids", "data", "out", "group"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


# The rules of BIDS

_NPM, _DENO = "bids-validator", "bids-validator-deno"


def validator(name):
    """The program: `bids-validator-deno` or `bids-validator` on the PATH, or as a variable of the environment says."""
    variable = name.upper().replace("-", "_")
    found = shutil.which(os.environ.get(variable, name))
    return found or pytest.skip(f"{name} is not installed; PATH or {variable} leads to it")


def test_the_official_validator_passes_the_results(folder):
    """The validator of the current rules, from PyPI or Deno."""
    program = validator(_DENO)
    run(out="data/derivatives/neuralizer")
    run(out="data/derivatives/neuralizer", level="group")
    shown = subprocess.run(
        [program, "data/derivatives/neuralizer", "--format", "json"], capture_output=True, text=True, check=False
    )
    issues = json.loads(shown.stdout)["issues"]["issues"]
    assert Counter(issue["code"] for issue in issues if issue["severity"] == "error") == Counter()
    assert {issue["code"] for issue in issues} <= {"TOO_FEW_AUTHORS", "JSON_KEY_RECOMMENDED"}


def test_the_validator_from_npm_passes_the_dataset_with_its_results(folder):
    """The earlier validator, which passes over derivatives."""
    program = validator(_NPM)
    Path("data/README").write_text("made up " * 30)
    run(out="data/derivatives/neuralizer")
    shown = subprocess.run([program, "data", "--json"], capture_output=True, text=True, check=False)
    assert json.loads(shown.stdout)["issues"]["errors"] == []
