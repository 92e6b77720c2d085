"""Where a plane lies: in any storage, in any unit, and where the header says nothing."""

import itertools

import nibabel as nib
import numpy as np
import pytest

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.geometry import lies_on, same_spacing, tilt
from neuralizer_jax.files.image_files import read_image, write_image
from neuralizer_jax.files.planes import parse_slice
from neuralizer_jax.files.volumes import read_volume

# 1.5 x 2 x 2.5 mm; the centre of voxel (3, 4, 5) is (0, 0, 0).
RAS = np.array([[1.5, 0, 0, -4.5], [0, 2, 0, -8], [0, 0, 2.5, -12.5], [0, 0, 0, 1]])
SHAPE = (7, 8, 9)
STORAGES = [
    np.array(list(zip(order, signs, strict=True)))
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def save(path, affine=RAS, shape=SHAPE, storage=STORAGES[0], unit="mm", code=2):
    volume = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    stored = nib.orientations.apply_orientation(volume, storage)
    image = nib.Nifti1Image(stored, affine @ nib.orientations.inv_ornt_aff(storage, shape))
    image.header.set_xyzt_units(unit)
    image.set_sform(image.affine, code=code)
    image.set_qform(image.affine, code=code)
    nib.save(image, path)
    return path


def geometry(path, where="y=0"):
    source = read_image(path, slice_=parse_slice(where)).source
    assert source is not None
    return source.geometry


@pytest.mark.parametrize(("where", "size"), [("x=0", (2.5, 2)), ("y=0", (2.5, 1.5)), ("z=0", (2, 1.5))])
def test_a_plane_lies_at_one_place_in_every_storage(tmp_path, where, size):
    """Rows run from superior or anterior, columns from left or posterior."""
    found = [geometry(save(tmp_path / "volume.nii", storage=storage), where) for storage in STORAGES]
    for one in found:
        assert lies_on(one, found[0])
        assert one.spacing == pytest.approx(size)
        assert one.fixed == "xyz".index(where[0])
        step_down, step_right = one.affine[:3, 0], one.affine[:3, 1]
        assert step_down[{"x": 2, "y": 2, "z": 1}[where[0]]] < 0
        assert step_right[{"x": 1, "y": 0, "z": 0}[where[0]]] > 0
    assert len(found) == 48


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1), ("meter", 1e-3), ("micron", 1e3), ("unknown", 1)])
def test_the_unit_of_the_header_counts(tmp_path, unit, factor):
    path = save(tmp_path / "volume.nii.gz", affine=np.diag([factor, factor, factor, 1]) @ RAS, unit=unit)
    own, expected = geometry(path, "y=-4"), geometry(save(tmp_path / "mm.nii"), "y=-4")
    assert lies_on(own, expected)
    assert own.spacing == pytest.approx((2.5, 1.5))
    np.testing.assert_allclose(read_volume(path)[1], RAS, atol=1e-5)


def test_a_prediction_keeps_the_unit_of_its_target(tmp_path):
    image = read_image(
        save(tmp_path / "volume.nii", affine=np.diag([1e3, 1e3, 1e3, 1]) @ RAS, unit="micron"),
        slice_=parse_slice("y=-4"),
    )
    write_image(tmp_path / "out.nii", image.pixels, image, kind="image")
    again = read_image(tmp_path / "out.nii").source
    assert lies_on(again.geometry, image.source.geometry)


@pytest.mark.parametrize(("voxels", "same"), [(0.01, True), (0.2, True), (0.4, False), (1, False)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_map_lies_on_its_image_within_a_fraction_of_a_voxel(tmp_path, axis, voxels, same):
    """Also across the plane."""
    moved = RAS.copy()
    moved[axis, 3] += voxels * RAS[axis, axis]
    image, labels = (geometry(save(tmp_path / "x.nii", affine=affine), "1/4") for affine in (RAS, moved))
    assert lies_on(labels, image) == same


@pytest.mark.parametrize(("factor", "same"), [(1, True), (0.96, True), (1.04, True), (1.07, False), (0.5, False)])
def test_spacing_within_five_percent_is_the_same(tmp_path, factor, same):
    image = geometry(save(tmp_path / "a.nii"))
    other = geometry(save(tmp_path / "b.nii", affine=RAS @ np.diag([1, 1, factor, 1])))
    assert same_spacing(image, other) == same_spacing(other, image) == same


def test_tilt_is_that_of_the_planes_whatever_the_storage(tmp_path):
    turn = np.radians(20)
    rotation = np.eye(4)
    rotation[1:3, 1:3] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    straight = geometry(save(tmp_path / "a.nii", storage=STORAGES[11]))
    turned = geometry(save(tmp_path / "b.nii", affine=rotation @ RAS, storage=STORAGES[30]))
    assert tilt(straight, turned) == pytest.approx(20, abs=0.1)
    assert tilt(straight, straight) == pytest.approx(0, abs=0.1)


def without_orientation(path):
    if path.name.endswith(".mgz"):
        image = nib.MGHImage(np.ones(SHAPE, np.float32) * np.arange(9, dtype=np.float32), None)
        image.header["goodRASFlag"] = 0
        nib.save(image, path)
        return path
    return save(path, code=0)


def test_a_place_in_mm_needs_an_orientation(tmp_path):
    path = without_orientation(tmp_path / "volume.nii")
    with pytest.raises(InputError, match=r"no orientation .* such as --slice 1/4$"):
        read_image(path, slice_=parse_slice("y=0"))
    known = geometry(path, "1/4")
    assert (known.code, known.sides) == (0, None)


@pytest.mark.parametrize("name", ["volume.nii", "volume.mgz"])
def test_a_whole_volume_needs_an_orientation(tmp_path, name):
    with pytest.raises(InputError, match="left and right cannot be known"):
        read_volume(without_orientation(tmp_path / name))
