"""Which plane of a volume is read, how it lies on the screen, and where a prediction on it lies in the world."""

import itertools

import nibabel as nib
import numpy as np
import pytest

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.image_files import read_image, write_image
from neuralizer_jax.files.planes import locate_plane, parse_slice

# 1.5 x 2 x 2.5 mm voxels, (0, 0, 0) inside the volume.
RAS = np.array([[1.5, 0, 0, -6.0], [0, 2.0, 0, -9.0], [0, 0, 2.5, -10.0], [0, 0, 0, 1]])
LENGTHS = (7, 8, 9)
ORIENTATIONS = [
    np.array(list(zip(order, signs, strict=True)))
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def oblique(degrees: float) -> np.ndarray:
    turn = np.radians(degrees)
    rotation = np.eye(4)
    rotation[1:3, 1:3] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    return rotation @ RAS


def reoriented(volume: np.ndarray, affine: np.ndarray, orientation: np.ndarray) -> nib.Nifti1Image:
    """The same anatomy, stored with other axis order and directions."""
    stored = nib.orientations.apply_orientation(volume, orientation)
    return nib.Nifti1Image(stored, affine @ nib.orientations.inv_ornt_aff(orientation, volume.shape))


def world(image: nib.Nifti1Image, voxel: tuple[int, ...]) -> np.ndarray:
    return nib.affines.apply_affine(image.affine, voxel)


@pytest.mark.parametrize("affine", [RAS, oblique(20)], ids=["straight", "oblique"])
@pytest.mark.parametrize("text", ["x=-2", "y=-3.1", "z=4"])
def test_same_anatomy_in_every_orientation_gives_the_same_picture_and_the_prediction_overlays_it(
    tmp_path, affine, text
):
    volume = np.arange(np.prod(LENGTHS), dtype=np.float32).reshape(LENGTHS)
    pictures = []
    for orientation in ORIENTATIONS:
        stored = reoriented(volume, affine, orientation)
        nib.save(stored, tmp_path / "volume.nii")
        image = read_image(tmp_path / "volume.nii", slice_=parse_slice(text))
        pictures.append(image.pixels)
        mark = np.zeros(image.pixels.shape)
        mark[1, 2] = 1
        write_image(tmp_path / "mark.nii", mark, image, kind="labels")
        written = nib.load(tmp_path / "mark.nii")
        (voxel,) = np.argwhere(written.get_fdata() == 1)
        (origin,) = np.argwhere(stored.get_fdata() == image.pixels[1, 2])
        np.testing.assert_allclose(world(written, voxel), world(stored, origin), atol=1e-4)
    assert len(pictures) == 48
    for picture in pictures:
        np.testing.assert_array_equal(picture, pictures[0])


@pytest.mark.parametrize(
    ("text", "rows", "columns"),
    [
        ("y=1", (2, "falling"), (0, "rising")),  # coronal: superior to inferior, left to right
        ("z=1", (1, "falling"), (0, "rising")),  # axial: anterior to posterior, left to right
        ("x=1", (2, "falling"), (1, "rising")),  # sagittal: superior to inferior, posterior to anterior
    ],
)
@pytest.mark.parametrize("orientation", [0, 13, 47])
def test_display_convention(tmp_path, text, rows, columns, orientation):
    for (axis, direction), picture_axis in ((rows, 0), (columns, 1)):
        coordinate = np.indices(LENGTHS)[axis].astype(np.float32)
        nib.save(reoriented(coordinate, RAS, ORIENTATIONS[orientation]), tmp_path / "volume.nii.gz")
        picture = read_image(tmp_path / "volume.nii.gz", slice_=parse_slice(text)).pixels
        steps = np.diff(picture, axis=picture_axis)
        assert (steps == (1 if direction == "rising" else -1)).all()


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("y=-9", 0),
        ("y=-8.1", 0),
        ("y=-7.9", 1),
        ("y=-8", 0),  # midway: the lower plane
        ("y=5", 7),
        ("y=6", 7),  # the edge of the last voxel
        ("y=-10", 0),
        ("Y = +1.0".replace(" ", ""), 5),
        (" y=-.5 ", 4),
        ("1/0", 0),
        ("1/7", 7),
    ],
)
@pytest.mark.parametrize("flipped", [False, True])
def test_nearest_plane(text, index, flipped):
    affine, last = RAS.copy(), LENGTHS[1] - 1
    if flipped:
        affine[1] = [0, -2.0, 0, -9.0 + 2 * last]
    plane = locate_plane(LENGTHS, affine, parse_slice(text))
    expected = last - index if flipped and "=" in text else index
    assert (plane.axis, plane.index) == (1, expected)


def test_world_coordinate_of_an_oblique_volume_is_that_of_the_plane_centre():
    affine = oblique(20)
    plane = locate_plane(LENGTHS, affine, parse_slice("y=-3.1"))
    centres = [nib.affines.apply_affine(affine, [3, j, 4])[1] for j in range(LENGTHS[1])]
    assert plane.axis == 1
    assert plane.index == np.argmin(np.abs(np.array(centres) + 3.1))


def test_voxel_index_counts_along_the_axis_of_the_file(tmp_path):
    volume = np.arange(np.prod(LENGTHS), dtype=np.float32).reshape(LENGTHS)
    stored = reoriented(volume, RAS, np.array([[2, -1], [0, 1], [1, -1]]))
    nib.save(stored, tmp_path / "volume.nii")
    picture = read_image(tmp_path / "volume.nii", slice_=parse_slice("2/1")).pixels
    assert set(picture.ravel()) == set(stored.get_fdata()[:, :, 1].ravel())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "y",
        "y=",
        "=3",
        "w=3",
        "y=nan",
        "y=inf",
        "y=1e3",
        "3/1",
        "1/-1",
        "1/1.5",
        "1/",
        "/1",
        "y=1,z=2",
        "1/" + 12 * "9",
    ],
)
def test_bad_slice_text_shows_both_forms(text):
    with pytest.raises(InputError) as caught:
        parse_slice(text)
    message = str(caught.value)
    assert repr(text) in message
    assert "y=-17" in message
    assert "1/112" in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["y=-17", "x=3.25", "z=0", "1/112", "0/0"])
def test_a_choice_prints_as_it_is_typed(text):
    assert str(parse_slice(text)) == text


@pytest.mark.parametrize(
    ("text", "valid_range"),
    [
        ("y=-10.1", "-9.0 to 5.0 mm"),
        ("y=6.1", "-9.0 to 5.0 mm"),
        ("x=1000", "-6.0 to 3.0 mm"),
        ("1/8", "0 to 7"),
        ("2/999999999", "0 to 8"),
    ],
)
def test_choice_outside_the_volume_names_the_valid_range(text, valid_range):
    with pytest.raises(InputError, match=valid_range):
        locate_plane(LENGTHS, RAS, parse_slice(text))


@pytest.mark.parametrize(
    "affine",
    [
        RAS * [1, 1, 0, 1],
        RAS * [1, np.nan, 1, 1],
        np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
        np.where(RAS == -9, np.inf, RAS),
    ],
    ids=["zero column", "nan", "flat", "infinite"],
)
def test_degenerate_affine_is_refused(affine):
    with pytest.raises(InputError, match="affine"):
        locate_plane(LENGTHS, affine, parse_slice("1/3"))


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1), (5, 1, 6), (1, 5, 6), (5, 6, 1, 1)])
def test_an_image_file_needs_no_choice_and_comes_back_in_its_own_shape(tmp_path, shape):
    stored = np.arange(30, dtype=np.int16).reshape(shape)
    nib.save(nib.Nifti1Image(stored, RAS), tmp_path / "image.nii.gz")
    image = read_image(tmp_path / "image.nii.gz")
    assert sorted(image.pixels.shape) == [5, 6]
    write_image(tmp_path / "again.nii.gz", image.pixels, image, kind="labels")
    again = nib.load(tmp_path / "again.nii.gz")
    assert again.shape == shape
    np.testing.assert_array_equal(again.get_fdata(), stored)
    np.testing.assert_array_equal(again.affine, RAS)


def test_an_image_file_is_oriented_as_the_plane_of_a_volume(tmp_path):
    volume = np.arange(np.prod(LENGTHS), dtype=np.float32).reshape(LENGTHS)
    nib.save(nib.Nifti1Image(volume, RAS), tmp_path / "volume.nii")
    nib.save(nib.Nifti1Image(volume, RAS).slicer[:, 3:4, :], tmp_path / "image.nii")
    np.testing.assert_array_equal(
        read_image(tmp_path / "image.nii").pixels,
        read_image(tmp_path / "volume.nii", slice_=parse_slice("1/3")).pixels,
    )


@pytest.mark.parametrize(("text", "sides"), [("x=1", ("P", "A")), ("y=1", ("L", "R")), ("z=1", ("L", "R"))])
@pytest.mark.parametrize("codes", [0, 1])
def test_sides_of_the_picture_are_known_where_the_header_tells(tmp_path, text, sides, codes):
    volume = nib.Nifti1Image(np.zeros(LENGTHS, np.float32), RAS)
    volume.header["sform_code"] = volume.header["qform_code"] = codes
    nib.Nifti1Image(volume.dataobj, None, volume.header).to_filename(tmp_path / "volume.nii")
    source = read_image(tmp_path / "volume.nii", slice_=parse_slice(text if codes else "0/1")).source
    assert source.geometry.sides == (sides if codes else None)
