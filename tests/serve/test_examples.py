"""A saved scan is an example that `neuralizer predict --context` finds beside those before, in every layout."""

import shutil

import numpy as np
import pytest
from PIL import Image
from workbench_files import boxes, picture, save_volume, tree

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.context_files import find_pairs
from neuralizer_jax.files.example_volumes import find_examples
from neuralizer_jax.serve.examples import save_example
from neuralizer_jax.serve.folders import Folders, find_context, find_scans

LAYOUTS = {
    "none": [],
    "two folders": [("images/c1.nii.gz", "labels/c1.nii.gz")],
    "nnU-Net": [("imagesTr/c1_0000.nii.gz", "labelsTr/c1.nii.gz"), ("imagesTr/c2_0000.nii.gz", "labelsTr/c2.nii.gz")],
    "in and out": [("c1_in.nii.gz", "c1_out.nii.gz")],
    "a word": [("c1.nii.gz", "c1_seg.nii.gz")],
    "a word and a contrast": [("c1_T1.nii.gz", "c1_manual.nii.gz")],
    "FreeSurfer": [("s1/mri/T1.mgz", "s1/mri/aseg.mgz")],
    "flat BIDS": [("sub-1_T1w.nii.gz", "sub-1_dseg.nii.gz")],
    "BIDS": [("sub-1/anat/sub-1_T1w.nii.gz", "sub-1/anat/sub-1_dseg.nii.gz")],
    "BIDS with derivatives": [
        ("sub-1/ses-1/anat/sub-1_ses-1_T1w.nii.gz", "derivatives/m/sub-1/ses-1/anat/sub-1_ses-1_dseg.nii.gz")
    ],
}
NAMES = (
    *("x.nii.gz", "sub-9_T1w.nii.gz", "sub-9_ses-2_run-1_T2w.nii.gz", "c1.nii.gz", "scan_in.nii.gz", "x_0000.nii.gz"),
    *("sub-1_T1w.nii.gz", "a b (1).nii.gz", "T1.mgz", "input.nii", "out2.nii.gz"),
)


def workbench(folder, layout):
    folders = Folders(folder / "new", folder / "ann", folder / "out")
    for number, (image, labels) in enumerate(layout):
        save_volume(folders.context / image, picture(number))
        save_volume(folders.context / labels, boxes(17))
    return folders


def saved(folders, path, labels=None):
    scan = next(x for x in find_scans(folders, find_context(folders.context)).values() if x.path.name == path.name)
    return save_example(folders, scan, boxes(17) if labels is None else labels, {17: "thing"})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_example_is_found_beside_the_others(tmp_path, layout, name):
    folders = workbench(tmp_path, LAYOUTS[layout])
    before = tree(folders.context)
    target = save_volume(folders.targets / name, picture(9))
    pair, _ = saved(folders, target)
    found = find_examples(folders.context)
    assert len(found.inputs) == len(LAYOUTS[layout]) + 1
    assert (pair.image, pair.output) in zip(found.inputs, found.outputs, strict=True)
    assert found.notes == () or "channels" in found.notes[0]
    after = tree(folders.context)
    assert all(after[path] == content for path, content in before.items())
    # It is known again, and saved again in its place.
    second, _ = saved(folders, target, boxes(17, 53))
    assert second == pair
    assert len(find_examples(folders.context).inputs) == len(LAYOUTS[layout]) + 1


def test_two_scans_of_one_name_are_two_examples(tmp_path):
    folders = workbench(tmp_path, [])
    pairs = []
    for number in (1, 2):
        save_volume(folders.targets / "x.nii.gz", picture(number))
        pairs.append(saved(folders, folders.targets / "x.nii.gz")[0])
    assert [pair.image.name for pair in pairs] == ["x.nii.gz", "x-2.nii.gz"]


def test_scan_in_the_folder_of_examples_is_not_copied(tmp_path):
    folders = workbench(tmp_path, LAYOUTS["BIDS"])
    folders = Folders(folders.context, folders.context, folders.results)
    target = save_volume(folders.context / "sub-2/anat/sub-2_T1w.nii.gz", picture(5))
    pair, _ = saved(folders, target)
    assert pair.image == target
    assert pair.output == target.with_name("sub-2_dseg.nii.gz")


def test_images_among_volumes_are_refused(tmp_path):
    folders = workbench(tmp_path, LAYOUTS["a word"])
    folders.targets.mkdir()
    Image.fromarray(np.arange(60, dtype=np.uint8).reshape(6, 10)).save(folders.targets / "t.png")
    before = tree(tmp_path)
    with pytest.raises(InputError, match="holds volumes, expected another folder"):
        saved(folders, folders.targets / "t.png", np.ones((6, 10), int))
    assert tree(tmp_path) == before


def test_what_would_hide_other_examples_is_taken_back(tmp_path):
    """A folder with examples of two kinds has none that could be added to."""
    folders = workbench(tmp_path, [*LAYOUTS["two folders"], *LAYOUTS["flat BIDS"]])
    target = save_volume(folders.targets / "x.nii.gz", picture(9))
    before = tree(tmp_path)
    with pytest.raises(InputError, match="cannot lie beside the other examples"):
        saved(folders, target)
    assert tree(tmp_path) == before


def test_names_of_another_table_stay_as_they_are(tmp_path):
    folders = workbench(tmp_path, LAYOUTS["nnU-Net"])
    table = folders.context / "dataset.json"
    table.write_text('{"labels": {"background": 0, "thing": 17}}')
    target = save_volume(folders.targets / "x.nii.gz", picture(9))
    scan = next(iter(find_scans(folders, find_context(folders.context)).values()))
    assert scan.path.name == target.name
    _, notes = save_example(folders, scan, boxes(17, 60), {17: "thing", 60: "new one"})
    assert notes[0].startswith("new one: another table")
    assert not (folders.context / "labels.tsv").exists()


def test_pictures_are_pairs(tmp_path):
    folders = workbench(tmp_path, [])
    folders.targets.mkdir()
    for name in ("t.png", "target_in.png"):
        pixels = np.random.default_rng(len(name)).integers(0, 255, (6, 10)).astype(np.uint8)
        Image.fromarray(pixels).save(folders.targets / name)
        pair, _ = saved(folders, folders.targets / name, np.eye(6, 10, dtype=int))
        assert (np.asarray(Image.open(pair.output)) == np.eye(6, 10)).all()
        assert pair.image.read_bytes() == (folders.targets / name).read_bytes()
    assert len(find_pairs(folders.context).inputs) == 2


def test_a_target_that_was_saved_is_known_by_its_content(tmp_path):
    folders = workbench(tmp_path, [])
    target = save_volume(folders.targets / "x.nii.gz", picture(9))
    saved(folders, target)
    shutil.copy(target, folders.targets / "renamed.nii.gz")
    scans = find_scans(folders, find_context(folders.context)).values()
    assert {scan.path.name: scan.pair is not None for scan in scans} == {"x.nii.gz": True, "renamed.nii.gz": True}
