"""Which files of a folder are shown as examples, and what a user hears when they do not pair up."""

import os
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.context_files import explicit_pairs, find_pairs


def touch(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def names(pairs):
    return [(i.name, o.name) for i, o in zip(pairs.inputs, pairs.outputs, strict=True)]


@pytest.mark.parametrize(
    ("input_name", "output_name"),
    [
        ("ctx_in0.png", "ctx_out0.png"),
        ("in_03.npy", "out_03.npy"),
        ("in.png", "out.png"),
        ("in0.tif", "out0.tiff"),
        ("sub-01_in.nii.gz", "sub-01_out.nii.gz"),
        ("sub-01_in.nii.gz", "sub-01_out.png"),
        ("input_a.png", "output_a.png"),
        ("inImage1.png", "outImage1.png"),
        ("scan IN 1.PNG", "scan OUT 1.png"),
        ("fat_in_in0.png", "fat_in_out0.png"),
        ("in-plane_in0.png", "in-plane_out0.png"),
    ],
)
def test_names_that_pair(tmp_path, input_name, output_name):
    pairs = find_pairs(touch(tmp_path, input_name, output_name))
    assert names(pairs) == [(input_name, output_name)]
    assert pairs.inputs[0].parent == tmp_path
    assert pairs.notes == ()


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Kr\u00e4mer") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(("first", "second"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_the_form_of_unicode_does_not_matter(tmp_path, first, second):
    expected = [(f"{first}{i}_in.png", f"{second}{i}_out.png") for i in range(2)]
    assert names(find_pairs(touch(tmp_path, *sum(expected, ())))) == expected


def test_one_name_in_two_forms_of_unicode(tmp_path):
    files = [f"{COMPOSED}_in.png", f"{DECOMPOSED}_in.png", f"{COMPOSED}_out.png"]
    if len(os.listdir(touch(tmp_path, *files))) < 3:
        pytest.skip("this file system has one form of Unicode")
    with pytest.raises(InputError, match="two forms of Unicode"):
        find_pairs(tmp_path)


@pytest.mark.parametrize(
    ("input_name", "output_name"), [("Scan1_in.png", "scan1_out.png"), ("s1_in.png", "s\uff11_out.png")]
)
def test_names_that_differ_in_case_or_width_are_hinted_at(tmp_path, input_name, output_name):
    with pytest.raises(InputError, match="same upper and lower case and width"):
        find_pairs(touch(tmp_path, input_name, output_name))


def test_names_cannot_command_a_terminal(tmp_path):
    with pytest.raises(InputError) as caught:
        find_pairs(touch(tmp_path, "a\x1b[31m\nneuralizer: error: forged_in.png", "b\udcff_in.png"))
    assert str(caught.value).isprintable()
    assert r"b\udcff_in.png" in str(caught.value)


@pytest.mark.parametrize(
    ("input_name", "output_name"),
    [
        ("sub-01_in.png", "sub-02_out.png"),
        ("main0.png", "maout0.png"),
        ("a_in0.png", "b_out0.png"),
        ("9in.png", "9out.png"),
    ],
)
def test_names_that_do_not_pair(tmp_path, input_name, output_name):
    with pytest.raises(InputError):
        find_pairs(touch(tmp_path, input_name, output_name))


def test_natural_order(tmp_path):
    numbers = [10, 2, 1, 9, 3, 4, 5, 6, 7, 8, 0]
    touch(tmp_path, *(f"ctx_{role}{n}.png" for n in numbers for role in ("in", "out")))
    pairs = find_pairs(tmp_path)
    assert names(pairs) == [(f"ctx_in{n}.png", f"ctx_out{n}.png") for n in range(11)]
    assert pairs.notes == ()


@settings(max_examples=50)
@given(st.sets(st.from_regex(r"[a-z0-9_-]{0,6}", fullmatch=True), min_size=1, max_size=6))
def test_every_complete_set_of_pairs_is_found(tmp_path_factory, tails):
    folder = tmp_path_factory.mktemp("pairs")
    touch(folder, *(f"s_{role}_{tail}.npy" for tail in tails for role in ("in", "out")))
    assert sorted(names(find_pairs(folder))) == sorted((f"s_in_{tail}.npy", f"s_out_{tail}.npy") for tail in tails)


def test_other_files_are_passed_over(tmp_path):
    touch(tmp_path, "in0.png", "out0.png", "README", "notes_in.txt", ".DS_Store", "._in0.png", "photo_in.jpg")
    (tmp_path / "in1.png").mkdir()
    pairs = find_pairs(tmp_path)
    assert names(pairs) == [("in0.png", "out0.png")]
    assert pairs.notes == ()


def test_images_with_other_names_are_noted(tmp_path):
    touch(tmp_path, "in0.png", "out0.png", "atlas.nii.gz", "outline.png", "index.png")
    (note,) = find_pairs(tmp_path).notes
    for name in ("atlas.nii.gz", "outline.png", "index.png"):
        assert name in note


def test_gaps_in_the_numbering_are_noted(tmp_path):
    touch(tmp_path, *(f"ctx_{role}{n}.png" for n in (0, 1, 3, 12) for role in ("in", "out")))
    (note,) = find_pairs(tmp_path).notes
    assert "ctx_in2, ctx_in4, ctx_in5, ctx_in6, ctx_in7 and 4 more" in note


def test_subject_numbers_are_no_numbering(tmp_path):
    touch(tmp_path, *(f"sub-{n}_{role}.png" for n in (1, 17, 230) for role in ("in", "out")))
    assert find_pairs(tmp_path).notes == ()


def test_target_beside_the_pairs_is_passed_over(tmp_path):
    touch(tmp_path, "ctx_in0.png", "ctx_out0.png", "target_in.png")
    pairs = find_pairs(tmp_path, targets=[tmp_path / "target_in.png"])
    assert names(pairs) == [("ctx_in0.png", "ctx_out0.png")]
    assert pairs.notes == ()
    with pytest.raises(InputError, match=r"no partner for target_in\.png"):
        find_pairs(tmp_path)


def test_target_that_is_one_of_the_pairs_is_refused_by_whatever_path(tmp_path):
    touch(tmp_path, "ctx_in0.png", "ctx_out0.png", "ctx_in1.png", "ctx_out1.png")
    os.link(tmp_path / "ctx_in1.png", tmp_path / "scan.png")
    for target in (tmp_path / "ctx_in1.png", tmp_path / ".." / tmp_path.name / "ctx_in1.png", tmp_path / "scan.png"):
        with pytest.raises(InputError, match=r"ctx_in1\.png: the target is in its own context"):
            find_pairs(tmp_path, targets=[target])


def test_unpaired_files_are_listed(tmp_path):
    touch(tmp_path, "in0.png", "out0.png", *(f"in{n}.png" for n in range(1, 8)))
    with pytest.raises(InputError, match=r"in1\.png, in2\.png, in3\.png, in4\.png, in5\.png and 2 more"):
        find_pairs(tmp_path)


@pytest.mark.parametrize("extra", ["in0.npy", "out0.nii.gz"])
def test_two_files_for_one_place_are_refused(tmp_path, extra):
    with pytest.raises(InputError, match=extra):
        find_pairs(touch(tmp_path, "in0.png", "out0.png", extra))


def test_folder_without_pairs_is_told_which_names_are_expected(tmp_path):
    with pytest.raises(InputError, match=r"NAME_in0\.png"):
        find_pairs(touch(tmp_path, "a.png", "b.png"))


@pytest.mark.parametrize("name", ["missing", "file.png"])
def test_no_folder(tmp_path, name):
    touch(tmp_path, "file.png")
    with pytest.raises(InputError) as caught:
        find_pairs(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_explicit_pairs_keep_their_order(tmp_path):
    touch(tmp_path, "a.png", "b.png", "c.png", "d.png")
    pairs = explicit_pairs([tmp_path / "b.png", tmp_path / "a.png"], [str(tmp_path / "c.png"), tmp_path / "d.png"])
    assert names(pairs) == [("b.png", "c.png"), ("a.png", "d.png")]
    assert pairs.notes == ()


def test_explicit_pairs_note_a_repeated_input(tmp_path):
    touch(tmp_path, "a.png", "c.png", "d.png")
    pairs = explicit_pairs([tmp_path / "a.png"] * 2, [tmp_path / "c.png", tmp_path / "d.png"])
    assert len(pairs.inputs) == 2
    assert "a.png" in pairs.notes[0]


@pytest.mark.parametrize(
    ("inputs", "outputs", "target", "message"),
    [
        (["a.png", "b.png"], ["c.png"], "t.png", "2 context inputs and 1 context outputs"),
        ([], [], "t.png", "at least one"),
        (["a.png", "t.png"], ["b.png", "c.png"], "t.png", "own context"),
        (["a.png"], ["a.png"], "t.png", "both a context input and a context output"),
        (["a.png", "b.png"], ["b.png", "c.png"], "t.png", "both a context input and a context output"),
        (["gone.png"], ["gone.png"], "t.png", "both a context input and a context output"),
    ],
)
def test_explicit_pairs_that_are_refused(tmp_path, inputs, outputs, target, message):
    touch(tmp_path, "a.png", "b.png", "c.png", "t.png")
    with pytest.raises(InputError, match=message) as caught:
        explicit_pairs([tmp_path / n for n in inputs], [tmp_path / n for n in outputs], targets=[tmp_path / target])
    assert "\n" not in str(caught.value)
