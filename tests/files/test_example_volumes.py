"""Which annotated scans a folder holds, in the layouts that people have."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.example_volumes import find_examples, scans_in


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def found(folder, **options):
    pairs = find_examples(folder, **options)
    return [
        tuple(path.relative_to(folder).as_posix() for path in pair)
        for pair in zip(pairs.inputs, pairs.outputs, strict=True)
    ]


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("s2_in.nii.gz", "s2_out.nii.gz"),
        ("sub-01_T1w.nii.gz", "sub-01_dseg.nii.gz"),
        ("sub-01_T1w.nii.gz", "sub-01_T1w_dseg.mgz"),
        ("sub-01/anat/sub-01_run-1_T1w.nii.gz", "derivatives/manual/sub-01/anat/sub-01_run-01_desc-manual_dseg.nii.gz"),
        ("sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz", "derivatives/m/sub-01/ses-1/anat/sub-01_ses-1_dseg.nii.gz"),
        ("sub-01_T1w.nii.gz", "sub-01_label-lesion_mask.nii.gz"),
        ("sub-01_space-MNI152_T1w.nii.gz", "sub-01_space-MNI152_dseg.nii.gz"),
        ("imagesTr/hippo_003_0000.nii.gz", "labelsTr/hippo_003.nii.gz"),
        ("imagesTr/hippo_003.nii.gz", "labelsTr/hippo_003.nii.gz"),
        ("images/a b.nii", "Labels/a b.nii.gz"),
        ("images/case1_T1.nii", "masks/case1_mask.nii.gz"),
        ("case1.nii.gz", "case1_seg.nii.gz"),
        ("1000_SS.nii.gz", "1000_glm.nii.gz"),
        ("IBSR_01_ana.nii.gz", "IBSR_01_seg_ana.nii.gz"),
        ("case1/T1.mgz", "case1/aseg.mgz"),
        ("bert/mri/T1.mgz", "bert/mri/aseg.mgz"),
        ("in/a.nii", "out/a.nii"),
        ("mri/a.nii", "mri/a_seg.nii"),
        ("sub-01_T1w.nii.gz", "sub-01_seg.nii.gz"),
        ("sub-01_T1w.nii.gz", "sub-01_T1w_seg.nii.gz"),
        ("sub-01_T1w.nii.gz", "sub-01_msk.nii.gz"),
        ("brain.nii.gz", "brain-mask.nii.gz"),
    ],
)
def test_layouts(tmp_path, image, labels):
    assert found(touch(tmp_path, image, labels)) == [(image, labels)]
    assert find_examples(tmp_path).notes == ()


@pytest.mark.parametrize(("target", "image"), [("x.nii", "T1.mgz"), ("bert/mri/norm.mgz", "norm.mgz")])
def test_freesurfer_subjects(tmp_path, target, image):
    files = ["T1.mgz", "norm.mgz", "aseg.mgz", "aparc+aseg.mgz", "wm.mgz", "aseg.auto.mgz", "orig/001.mgz"]
    touch(tmp_path, *(f"{subject}/mri/{name}" for subject in ("s1", "s2") for name in files))
    expected = [(f"{subject}/mri/{image}", f"{subject}/mri/aseg.mgz") for subject in ("s1", "s2")]
    assert found(tmp_path, targets=[Path(target)]) == expected


def test_natural_order(tmp_path):
    names = [f"s{i}{end}.nii.gz" for i in (10, 9, 1) for end in ("", "_seg")]
    assert [image for image, _ in found(touch(tmp_path, *names))] == ["s1.nii.gz", "s9.nii.gz", "s10.nii.gz"]


def test_what_has_no_partner_is_noted(tmp_path):
    touch(tmp_path, "sub-1_T1w.nii.gz", "sub-1_dseg.nii.gz", "sub-2_T1w.nii.gz", "sub-3_dseg.nii.gz", "sub-4_T1w.nii")
    pairs = find_examples(tmp_path, targets=[tmp_path / "sub-4_T1w.nii"])
    assert [note.removeprefix(f"{tmp_path}: ") for note in pairs.notes] == [
        "sub-2_T1w.nii.gz: no labels, so no example",
        "sub-3_dseg.nii.gz: no image, so no example",
    ]


def test_one_channel_of_several_is_taken_with_a_note(tmp_path):
    images = [f"imagesTr/a_000{channel}.nii.gz" for channel in (1, 0)]
    touch(tmp_path, *images, "labelsTr/a.nii.gz", "imagesTs/b_0000.nii.gz")
    assert found(tmp_path) == [("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz")]
    assert find_examples(tmp_path).notes == ("images of 2 channels (0000, 0001): 0000 is taken",)


@pytest.mark.parametrize(
    ("target", "image"),
    [
        ("sub-9_T2w.nii", "sub-1_T2w.nii"),
        ("new_T1w.nii", "sub-1_T1w.nii"),
        ("sub-9_desc-brain_T1w.nii", "sub-1_desc-brain_T1w.nii"),
    ],
)
def test_of_several_images_that_of_the_targets_kind_is_taken(tmp_path, target, image):
    touch(tmp_path, "sub-1_T1w.nii", "sub-1_T2w.nii", "sub-1_desc-brain_T1w.nii", "sub-1_dseg.nii")
    assert found(tmp_path, targets=[Path(target)]) == [(image, "sub-1_dseg.nii")]


@pytest.mark.parametrize(("target", "image"), [("x_norm.mgz", "s1_norm.mgz"), ("x_t1.mgz", "s1_T1.mgz")])
def test_of_several_images_by_the_last_word_of_the_targets(tmp_path, target, image):
    touch(tmp_path, "s1_norm.mgz", "s1_T1.mgz", "s1_aseg.mgz")
    assert found(tmp_path, targets=[Path(target)]) == [(image, "s1_aseg.mgz")]


def test_labels_are_those_of_the_image_on_their_voxels_or_of_their_sources(tmp_path):
    for name, size in {"T1w": 5, "FLAIR": 6, "dseg": 6}.items():
        nib.save(nib.Nifti1Image(np.zeros((size, 7, 8), np.uint8), np.eye(4)), tmp_path / f"sub-1_{name}.nii")
    assert found(tmp_path) == [("sub-1_FLAIR.nii", "sub-1_dseg.nii")]
    (tmp_path / "sub-1_dseg.json").write_text(json.dumps({"Sources": ["bids::sub-1/anat/sub-1_T1w.nii"]}))
    assert found(tmp_path) == [("sub-1_T1w.nii", "sub-1_dseg.nii")]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.nii", "b.nii"], "no images with labels among 2 volumes"),
        (["sub-1_T1w.nii", "sub-1_desc-aseg_dseg.nii", "sub-1_dseg.nii"], r"several kinds \(desc-aseg_dseg, dseg\)"),
        (["a_in.nii", "a_out.nii", "sub-1_T1w.nii", "sub-1_dseg.nii"], r"several kinds \(NAME_in and NAME_out, BIDS\)"),
        (["s1_T1.nii", "s1_T2.nii", "s1_seg.nii"], "s1_T1.nii, s1_T2.nii: all may be the image of s1_seg.nii"),
        (["s1.nii", "s1_seg.nii", "s1_manual.nii"], "s1_manual.nii and s1_seg.nii are both labels of s1.nii"),
        (["a_in.nii", "b_in.nii", "b_out.nii"], "no partner for a_in.nii"),
        (["sub-1_T1w.nii", "sub-1_dseg.nii", "sub-1_seg.nii"], r"several kinds \(dseg, seg\)"),
    ],
)
def test_what_is_ambiguous_is_refused_in_one_line(tmp_path, names, message):
    with pytest.raises(InputError, match=message) as caught:
        find_examples(touch(tmp_path, *names))
    assert str(caught.value).isprintable()


def test_a_number_is_no_part_of_another(tmp_path):
    touch(tmp_path, "case1_T1.nii", "case10_T1.nii", "case1_seg.nii")
    assert found(tmp_path) == [("case1_T1.nii", "case1_seg.nii")]


@pytest.mark.parametrize(
    ("files", "scans"),
    [
        (["s2.nii", "s10.nii", "s2_seg.nii", "deeper/s3.nii"], ["s2.nii", "s10.nii"]),
        (["sub-1/anat/sub-1_T1w.nii", "sub-1/anat/sub-1_dseg.nii"], ["sub-1/anat/sub-1_T1w.nii"]),
        (["a_0000.nii", "a_0001.nii", "b_0000.nii"], ["a_0000.nii", "b_0000.nii"]),
        (["a.png", "deeper/s3.nii"], []),
    ],
)
def test_scans_of_a_folder(tmp_path, files, scans):
    assert [path.relative_to(tmp_path).as_posix() for path in scans_in(touch(tmp_path, *files))] == scans
