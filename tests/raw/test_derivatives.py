"""The user's segmentation and brain mask are found by their names alone, and made once where a program is installed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from input_pipeline.raw.derivatives import (
    find_brain_mask,
    find_segmentation,
    index_segmentations,
    make_brain_mask,
    make_segmentation,
)
from neuralizer_jax.errors import InputError, OutputError


def tree(root, *names):
    """Empty files of these names under `root`."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


# --- what is found ---

SEGMENTATIONS = [
    "{}/s01_T1_synthseg.nii.gz",
    "{}/s01_T1_synthseg.nii",
    "{}/s01_T1_synthseg.mgz",
    "{}/s01_T1_aseg.nii.gz",
    "{}/s01_T1_aseg.mgz",
    "{}/s01_T1_freesurfer.nii",
    "{}/s01_T1_freesurfer.mgz",
]
FREESURFER_SEGMENTATIONS = ["{}/s01/mri/aparc+aseg.mgz", "{}/s01/mri/aseg.mgz"]
BRAIN_MASKS = [
    "{}/s01_T1_synthstrip.nii.gz",
    "{}/s01_T1_synthstrip.mgz",
    "{}/s01_T1_brainmask.nii.gz",
    "{}/s01_T1_brain_mask.nii",
]
FREESURFER_BRAIN_MASKS = ["{}/s01/mri/brainmask.mgz"]

BY_RANK = {
    find_segmentation: [
        *(name.format("made/a/b") for name in SEGMENTATIONS + FREESURFER_SEGMENTATIONS),
        *(name.format("data") for name in SEGMENTATIONS),
    ],
    find_brain_mask: [
        *(name.format("made/a/b") for name in BRAIN_MASKS + FREESURFER_BRAIN_MASKS),
        *(name.format("data") for name in BRAIN_MASKS),
    ],
}


def found_in(find, root, image="data/s01_T1.nii.gz"):
    index = index_segmentations(root / "made" if (root / "made").exists() else None)
    found = find(root / image, "s01", index)
    return found and found.relative_to(root).as_posix()


@pytest.mark.parametrize("image", ["data/s01_T1.nii.gz", "data/s01_T1.nii", "data/s01_T1.mgz"])
@pytest.mark.parametrize(("find", "name"), [(find, name) for find, names in BY_RANK.items() for name in names])
def test_each_name_is_found(tmp_path, find, name, image):
    tree(tmp_path, image, name)
    assert found_in(find, tmp_path, image) == name
    (other,) = {*BY_RANK} - {find}
    assert found_in(other, tmp_path, image) is None


@pytest.mark.parametrize("find", BY_RANK)
def test_the_first_of_several_counts(tmp_path, find):
    names = BY_RANK[find]
    tree(tmp_path, "data/s01_T1.nii.gz", *names)
    for name in names:
        assert found_in(find, tmp_path) == name
        (tmp_path / name).unlink()
    assert found_in(find, tmp_path) is None


@pytest.mark.parametrize(
    "name",
    [
        "data/s01_T1_seg.nii.gz",
        "data/s01_T1_mask.nii.gz",
        "made/s01_T1_seg.nii.gz",
        "made/s01_T1_mask.nii.gz",
        "made/s01_T1.nii.gz",
        "data/s01_synthseg.nii.gz",
        "made/s02_T1_synthseg.nii.gz",
        "made/xs01_T1_synthseg.nii.gz",
        "made/s01_T1_synthseg.png",
        "made/s01_T1_brainmask.nii.gz.part",
        "made/.s01_T1_synthseg.nii.gz",
        "elsewhere/s01_T1_synthseg.nii.gz",
        "data/deeper/s01_T1_brainmask.nii.gz",
        "made/s02/mri/aseg.mgz",
        "made/xs01/mri/aseg.mgz",
        "made/s01/aseg.mgz",
        "made/s01/mri/orig/aseg.mgz",
        "made/s01/mri/aseg.nii.gz",
        "made/s01/mri/aparc.a2009s+aseg.mgz",
        "made/mri/brainmask.mgz",
        "data/s01/mri/aseg.mgz",
        "data/s01/mri/brainmask.mgz",
    ],
)
def test_other_names_are_not_taken(tmp_path, name):
    tree(tmp_path, "data/s01_T1.nii.gz", name)
    assert [found_in(find, tmp_path) for find in BY_RANK] == [None, None]


def test_a_folder_is_not_a_file(tmp_path):
    tree(tmp_path, "data/s01_T1_synthseg.nii.gz/x")
    assert found_in(find_segmentation, tmp_path) is None


def test_a_relative_folder_of_one_subject(tmp_path, monkeypatch):
    tree(tmp_path, "s01/mri/aseg.mgz")
    monkeypatch.chdir(tmp_path / "s01")
    assert find_segmentation(Path("a.nii"), "s01", index_segmentations(Path("mri"))) == Path("mri/aseg.mgz")


@pytest.mark.parametrize("name", ["s01_T1_synthseg.nii.gz", "s01/mri/aseg.mgz"])
def test_two_files_of_one_name_are_ambiguous(tmp_path, name):
    tree(tmp_path / "made", f"a/{name}", f"b/{name}", "a/fsaverage/mri/aseg.mgz", "b/fsaverage/mri/aseg.mgz")
    with pytest.raises(InputError) as caught:
        found_in(find_segmentation, tmp_path)
    assert f"{tmp_path}/made/a/{name} and {tmp_path}/made/b/{name}" in str(caught.value)
    assert find_segmentation(tmp_path / "s02.nii", "s02", index_segmentations(tmp_path / "made")) is None
    (tmp_path / "made/b" / name).unlink()
    (tmp_path / "made/b" / name).symlink_to(tmp_path / "made/a" / name)
    assert found_in(find_segmentation, tmp_path) is not None


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="made: does not exist"):
        index_segmentations(tmp_path / "made")


# --- what is made ---

# Notes how it was called and writes its output: the option before it is the first argument.
PROGRAM = """#!{python}
import sys, time
from pathlib import Path
with open("{log}", "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
{body}
"""
WRITE = 'Path(sys.argv[4]).write_text("made of " + Path(sys.argv[2]).read_text())'

MAKERS = {"mri_synthseg": make_segmentation, "mri_synthstrip": make_brain_mask}


@pytest.fixture(params=MAKERS)
def program(request):
    return request.param


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a program on an otherwise empty PATH; what it gives reads how the program was called so far."""
    folder, log = tmp_path / "bin", tmp_path / "log"
    folder.mkdir()
    (tmp_path / "scan.nii.gz").write_text("scan")
    monkeypatch.setenv("PATH", str(folder))

    def installed(program, body):
        (folder / program).write_text(PROGRAM.format(python=sys.executable, log=log, body=body))
        (folder / program).chmod(0o755)
        return lambda: log.read_text().splitlines() if log.exists() else []

    return installed


def hidden(folder):
    return sorted(os.listdir(folder))


def test_no_program_makes_nothing(tmp_path, install, program):
    assert MAKERS[program](tmp_path / "scan.nii.gz", tmp_path / "made/out.nii.gz") is None
    assert not (tmp_path / "made").exists()


def test_a_program_makes_the_file_once(tmp_path, install, program):
    calls = install(program, WRITE)
    out = tmp_path / "made/deep/out.nii.gz"
    for _ in range(2):
        assert MAKERS[program](tmp_path / "scan.nii.gz", out) == out
        assert out.read_text() == "made of scan"
    assert hidden(out.parent) == [".lock", "out.nii.gz"]
    (arguments,) = calls()
    first, image, second, temporary, *others = arguments.split()
    assert image == str(tmp_path / "scan.nii.gz")
    assert temporary != str(out)
    assert temporary.endswith(".nii.gz")
    assert (first, second, others) == {
        "mri_synthseg": ("--i", "--o", ["--threads", "1", "--cpu"]),
        "mri_synthstrip": ("-i", "-m", []),
    }[program]


def test_names_with_spaces_and_relative_paths(tmp_path, install, monkeypatch):
    """A name that begins with a hyphen is not taken for an option either."""
    calls = install("mri_synthseg", WRITE)
    monkeypatch.chdir(tmp_path)
    Path("-a scan; x.nii").write_text("it")
    assert make_segmentation(Path("-a scan; x.nii"), Path("out $x.nii")).read_text() == "made of it"
    assert calls()[0].startswith(f"--i {tmp_path}/-a scan; x.nii --o {tmp_path}/.")


def test_a_file_that_is_there_needs_no_program(tmp_path, install, program):
    (tmp_path / "out.mgz").write_text("of yesterday")
    assert MAKERS[program](tmp_path / "scan.nii.gz", tmp_path / "out.mgz") == tmp_path / "out.mgz"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('print("loading"); sys.exit("first\\nno memory\\n\\n")', r"exit status 1 \(no memory\)$"),
        (f'{WRITE}; sys.stderr.write("working\\rhalf way"); sys.exit(3)', r"exit status 3 \(half way\)$"),
        ("sys.exit(2)", "exit status 2$"),
        ('sys.stderr.buffer.write(b"\\xff bad"); sys.exit(4)', r"exit status 4 \(. bad\)$"),
        ("pass", "ended without making its output"),
    ],
)
def test_a_program_that_fails(tmp_path, install, program, body, expected):
    calls = install(program, body)
    (tmp_path / "made").mkdir()
    for _ in range(2):
        with pytest.raises(InputError, match=expected) as caught:
            MAKERS[program](tmp_path / "scan.nii.gz", tmp_path / "made/out.nii.gz")
        assert str(caught.value).startswith(f"{tmp_path / 'scan.nii.gz'}: {program} ")
        assert "\n" not in str(caught.value)
        assert hidden(tmp_path / "made") == [".lock"]
    assert len(calls()) == 2


@pytest.mark.parametrize(
    "body",
    ["os.kill(os.getpid(), 9)", "sys.exit(137)", 'sys.exit("out.nii.gz: No space left on device")'],
    ids=["killed", "killed in a script", "full disk"],
)
def test_a_program_that_the_machine_stops(tmp_path, install, body):
    install("mri_synthseg", f"import os; {body}")
    with pytest.raises(OutputError, match=r"mri_synthseg failed with exit status .*, expected enough memory and space"):
        make_segmentation(tmp_path / "scan.nii.gz", tmp_path / "out.nii.gz")


def test_a_program_that_cannot_be_started(tmp_path, install):
    install("mri_synthseg", "")
    (tmp_path / "bin/mri_synthseg").write_text("#!/nowhere/python\n")
    with pytest.raises(InputError, match=r"mri_synthseg: cannot be started \(No such file"):
        make_segmentation(tmp_path / "scan.nii.gz", tmp_path / "out.nii.gz")


def test_a_folder_that_cannot_be_made(tmp_path, install):
    install("mri_synthseg", WRITE)
    with pytest.raises(InputError, match=r"scan\.nii\.gz: cannot be written"):
        make_segmentation(tmp_path / "scan.nii.gz", tmp_path / "scan.nii.gz/out.nii.gz")


# Fails where another of its kind runs.
ALONE = f"""
flag = Path("{{flag}}")
flag.open("x").close()
time.sleep(0.2)
{WRITE}
flag.unlink()
"""


def start(maker, image, out):
    """A process of its own that makes `out`."""
    code = f"import sys; from pathlib import Path; from input_pipeline.raw.derivatives import {maker} as make"
    command = [sys.executable, "-c", f"{code}; make(Path(sys.argv[1]), Path(sys.argv[2]))", image, out]
    return subprocess.Popen(command, start_new_session=True)


def test_one_program_runs_at_a_time(tmp_path, install):
    for program in MAKERS:
        calls = install(program, ALONE.format(flag=tmp_path / "running"))
    jobs = [("make_segmentation", "a.nii"), ("make_segmentation", "a.nii"), ("make_brain_mask", "b.nii")]
    workers = [start(maker, tmp_path / "scan.nii.gz", tmp_path / out) for maker, out in jobs]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    assert len(calls()) == 2
    assert [(tmp_path / name).read_text() for name in ("a.nii", "b.nii")] == ["made of scan"] * 2


def test_a_process_that_was_killed_does_not_keep_others_waiting(tmp_path, install):
    """The next one runs, and what was left half-written is not taken for the result."""
    install("mri_synthseg", f"Path(sys.argv[4]).write_text('half'); Path('{tmp_path}/started').touch(); time.sleep(60)")
    worker = start("make_segmentation", tmp_path / "scan.nii.gz", tmp_path / "out.nii")
    try:
        for _ in range(600):
            if (tmp_path / "started").exists():
                break
            time.sleep(0.05)
        assert (tmp_path / "started").exists()
    finally:
        os.killpg(worker.pid, 9)
        worker.wait()
    install("mri_synthseg", WRITE)
    assert make_segmentation(tmp_path / "scan.nii.gz", tmp_path / "out.nii").read_text() == "made of scan"
