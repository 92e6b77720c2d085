"""`neuralizer predict` on NIfTI files that lie differently: the same labels, one line, or a note."""

import itertools

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from neuralizer_jax.cli.main import main
from neuralizer_jax.cli.predict_geometry import to_grid_of
from neuralizer_jax.files.image_files import read_image
from neuralizer_jax.files.planes import parse_slice

# 2 mm, around (0, 0, 0). An asymmetric head: what is bright and labelled differs between left and right.
SHAPE = (24, 12, 20)
STORAGES = [
    np.array(list(zip(order, signs, strict=True)))
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def centred(shape=SHAPE, mm=(2.0, 2.0, 2.0)):
    affine = np.diag([*mm, 1.0])
    affine[:3, 3] = -(np.array(shape) - 1) / 2 * mm
    return affine


def moved(*mm):
    affine = centred()
    affine[:3, 3] += mm
    return affine


def head(seed, shape=SHAPE, mm=(2.0, 2.0, 2.0)):
    places = (np.indices(shape).T - (np.array(shape) - 1) / 2).T * np.reshape(mm, (3, 1, 1, 1))
    x, y, z = places

    def ball(cx, cz, r):
        return (x - cx) ** 2 + y**2 / 4 + (z - cz) ** 2 < r**2

    labels = np.zeros(shape, np.int16)
    labels[ball(-8, 2, 6)], labels[ball(9, -3, 5)] = 17, 53
    image = 500 * ball(0, 0, 18) + 300 * (labels == 17) - 200 * (labels == 53)
    return (image + 20 * np.random.default_rng(seed).random(shape)).astype(np.float32), labels


def save(path, array, affine, storage=STORAGES[0], code=2, mirrored_qform=False):
    stored = nib.orientations.apply_orientation(array, storage)
    path.parent.mkdir(exist_ok=True)
    image = nib.Nifti1Image(stored, affine @ nib.orientations.inv_ornt_aff(storage, array.shape))
    image.set_sform(image.affine, code=code)
    image.set_qform(np.diag([-1 if mirrored_qform else 1, 1, 1, 1]) @ image.affine, code=code)
    nib.save(image, path)


@pytest.fixture(autouse=True)
def _no_notes_on_the_prediction(monkeypatch):
    """Random weights predict odd structures, which `predict` notes too."""
    monkeypatch.setattr("neuralizer_jax.inference.plausibility.plausibility_notes", lambda *_, **__: [])


@pytest.fixture
def predicted(tmp_path, tiny_weights, capsys):
    """Makes a target and three pairs, predicts; gives status, stderr and the labels with their affine, RAS."""

    def predict(*options, where="y=1", target=None, context=None, output=None):
        target, context = target or {}, context or {}
        for index in range(3):
            image, labels = head(index, **context.get("head", {}))
            place = {"affine": centred(**context.get("head", {})), **context.get("save", {})}
            save(tmp_path / f"ctx/c{index}_in.nii.gz", image, **place)
            save(tmp_path / f"ctx/c{index}_out.nii.gz", labels, **{**place, **(output or {})})
        place = {"affine": centred(**target.get("head", {})), **target.get("save", {})}
        save(tmp_path / "t.nii.gz", head(9, **target.get("head", {}))[0], **place)
        out = tmp_path / "o.nii.gz"
        out.unlink(missing_ok=True)
        command = ["predict", "--weights", tiny_weights, "--task", "segmentation", "--slice", where, *options]
        command += ["--target", tmp_path / "t.nii.gz", "--context", tmp_path / "ctx", "--out", out]
        status = main(list(map(str, command)))
        if status:
            return status, capsys.readouterr().err, None
        found = nib.as_closest_canonical(nib.load(out))
        return status, capsys.readouterr().err, (np.asarray(found.dataobj), found.affine)

    return predict


def test_every_storage_gives_the_same_labels_voxel_for_voxel(predicted):
    status, notes, expected = predicted()
    assert (status, notes) == (0, "")
    assert len(np.unique(expected[0])) > 1
    for of_target, of_context in [(0, 13), (13, 47), (30, 0), (47, 22)]:
        status, notes, labels = predicted(
            target={"save": {"storage": STORAGES[of_target]}}, context={"save": {"storage": STORAGES[of_context]}}
        )
        assert (status, notes) == (0, "")
        np.testing.assert_array_equal(labels[0], expected[0])
        np.testing.assert_allclose(labels[1], expected[1])


# What differs, and a word of the line that says so.
REFUSED = {
    "axial beside coronal": (
        {"where": "1/6", "context": {"save": {"storage": np.array([[0, -1], [2, -1], [1, 1]])}}},
        "shows an axial plane, expected a coronal one",
    ),
    "map moved against its image": (
        {"output": {"affine": moved(8, 0, 0)}},
        "c0_out.nii.gz: does not lie on its input",
    ),
    "map of other pixels than its image": (
        {"output": {"affine": centred(mm=(2, 2, 1.5))}},
        "c0_out.nii.gz: does not lie on its input",
    ),
    "mirrored map": (
        {"output": {"affine": np.diag([-1, 1, 1, 1]) @ moved(3, 0, 0)}},
        "c0_out.nii.gz: does not lie on its input",
    ),
    "target without orientation": (
        {"where": "1/6", "target": {"save": {"code": 0}}},
        "t.nii.gz: left and right cannot be known",
    ),
    "context without orientation": (
        {"where": "1/6", "context": {"save": {"code": 0}}},
        "c0_in.nii.gz: left and right cannot be known",
    ),
    "place in mm without orientation": (
        {"target": {"save": {"code": 0}}, "context": {"save": {"code": 0}}},
        "slice y=1 cannot be found",
    ),
    "context outside of the target": (
        {"context": {"save": {"affine": moved(200, 0, 0)}}, "options": ["--resample"]},
        "c0_in.nii.gz: is empty where the target lies",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_contradicts_is_refused_in_one_line(predicted, name):
    case, words = REFUSED[name]
    status, line, _ = predicted(*case.get("options", ()), **{k: v for k, v in case.items() if k != "options"})
    assert status == 2
    assert words in line
    assert line.count("\n") == 1


def turned(degrees):
    turn, rotation = np.radians(degrees), np.eye(4)
    rotation[1:3, 1:3] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    return rotation @ centred()


NOTED = {
    "no orientation at all": (
        {"where": "1/6", "target": {"save": {"code": 0}}, "context": {"save": {"code": 0}}},
        "left and right cannot be known",
    ),
    "two orientations": ({"target": {"save": {"mirrored_qform": True}}}, "disagree about left and right"),
    "other pixels": (
        {"context": {"head": {"mm": (1.5, 2, 2)}}},
        "from 20x24 pixels of 2 x 1.5 mm to 20x24 pixels of 2",
    ),
    "apart across the plane": (
        {"where": "1/6", "target": {"save": {"affine": moved(0, 14, 0)}}},
        "planes 14 mm apart (2 more pairs too)",
    ),
    "apart in the plane": (
        {"target": {"save": {"affine": moved(14, 0, 0)}}},
        "planes 14 mm apart",
    ),
    "apart in the scanner, where heads lie anywhere": (
        {
            "where": "1/6",
            "target": {"save": {"affine": moved(0, 14, 0), "code": 1}},
        },
        None,
    ),
    "tilted": ({"target": {"save": {"affine": turned(20)}}}, "planes tilted by 20 degrees"),
    "tilted a little": ({"target": {"save": {"affine": turned(8)}}}, None),
    "pixels a little larger": ({"target": {"save": {"affine": centred(mm=(2.05, 2, 2))}}}, None),
}


@pytest.mark.parametrize("name", NOTED)
def test_what_cannot_be_known_is_noted_in_one_line(predicted, name):
    case, words = NOTED[name]
    status, note, _ = predicted(**case)
    assert status == 0
    if words is None:
        assert note == ""
    else:
        assert words in note
        assert note.count("\n") == 1


@pytest.mark.parametrize("where", ["y=1", "1/6"])
@pytest.mark.parametrize("shape", [SHAPE, (48, 12, 40), (40, 12, 44)], ids=["same size", "whole", "cropped"])
@pytest.mark.parametrize("resample", [False, True])
def test_a_context_of_other_pixels_is_laid_on_the_target_in_mm(tmp_path, where, shape, resample):
    """Whatever its size: not stretched."""
    choice = parse_slice(where)
    mm = (1.0, 2.0, 1.2)
    save(tmp_path / "t.nii", head(0)[1], centred())
    save(tmp_path / "c.nii", head(0, shape, mm)[1], centred(shape, mm))
    target, given = (read_image(tmp_path / f"{name}.nii", slice_=choice, labels=True) for name in "tc")
    laid = to_grid_of(target, given, choice, resample=resample)(given.pixels, nearest=True)
    assert laid.shape == target.pixels.shape
    rows, columns = np.indices(laid.shape)
    seen = (abs(rows - 9.5) < 0.3 * shape[2] - 1) & (abs(columns - 11.5) < 0.25 * shape[0] - 1)
    assert (laid == target.pixels)[seen].mean() > 0.95
    assert set(np.unique(laid[seen])) == {0, 17, 53}
    assert (laid[~seen] == 0).mean() > 0.9


@pytest.mark.parametrize("where", ["y=1", "1/6"])
def test_a_crop_keeps_its_place_if_slices_are_chosen_in_mm(tmp_path, where):
    """Else the centres coincide: volumes need not share a space."""
    image, _ = head(0)
    save(tmp_path / "whole.nii", image, centred())
    save(tmp_path / "crop.nii", image[8:], centred() @ (np.eye(4) + 8 * np.outer([1, 0, 0, 0], [0, 0, 0, 1])))
    choice = parse_slice(where)
    whole, crop = (read_image(tmp_path / f"{name}.nii", slice_=choice) for name in ("whole", "crop"))
    resampling = to_grid_of(whole, crop, choice, resample=False)
    back = resampling(crop.pixels, nearest=False)
    column = 8 if where == "y=1" else 4
    np.testing.assert_array_equal(back[:, column : column + 16], whole.pixels[:, 8:])
    assert (np.delete(back, np.s_[column : column + 16], axis=1) == 0).all()


def test_files_without_a_header_beside_nifti_are_noted(predicted, tmp_path, tiny_weights, capsys):
    predicted()
    (tmp_path / "png").mkdir()
    for index in range(2):
        image, labels = head(index)
        Image.fromarray(np.uint8(image[:, 6, ::-1].T / 4)).save(tmp_path / f"png/in{index}.png")
        Image.fromarray(np.uint8(labels[:, 6, ::-1].T)).save(tmp_path / f"png/out{index}.png")
    command = ["predict", "--weights", tiny_weights, "--task", "segmentation", "--slice", "y=1"]
    command += ["--target", tmp_path / "t.nii.gz", "--context", tmp_path / "png", "--out", tmp_path / "p.nii.gz"]
    assert main(list(map(str, command))) == 0
    note = capsys.readouterr().err
    assert "in0.png and 3 more: no header tells where this lies" in note
    assert note.count("\n") == 1
