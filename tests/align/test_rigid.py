"""One scan of a subject is brought onto another: other contrast, slabs, thick slices, useless headers."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from input_pipeline.align.rigid import register_rigid
from input_pipeline.space.grid import AFFINE
from input_pipeline.space.resample import resample_to_grid
from input_pipeline.synthesis.images import brain_mask, synthesize_image
from input_pipeline.synthesis.phantom import phantom_label_map
from neuralizer_jax.errors import InputError

CENTRE = np.array([0.0, -18, 15])  # of the brain, mm


def rigid(turn, shift):
    """World -> world: a turn (rotation vector, degrees) about the brain's centre, then a shift in mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(np.deg2rad(turn)).as_matrix()
    matrix[:3, 3] = CENTRE - matrix[:3, :3] @ CENTRE + shift
    return matrix


MOTION = rigid((10, -8, 7), (11, -9, 12))


@pytest.fixture(scope="module")
def head():
    """The phantom at 2 mm: labels and affine."""
    return phantom_label_map()[::2, ::2, ::2], AFFINE @ np.diag([2.0, 2, 2, 1])


@pytest.fixture(scope="module")
def t1(head):
    return synthesize_image(head[0], "T1", seed=4), head[1]


def scan(image, affine, motion, sizes, shape, turn=(0, 0, 0)):
    """The head after a motion, acquired about the scanner's centre with axes turned: volume and affine."""
    grid = rigid(turn, (0, 0, 0)) @ np.diag([*sizes, 1.0])
    grid[:3, 3] += CENTRE - (grid @ np.append((np.array(shape) - 1) / 2, 1))[:3]
    return resample_to_grid(image, affine, motion, labels=False, shape=shape, grid_affine=grid), grid


def error_mm(matrix, motion, head):
    """Mean distance over the brain between where `matrix` brings it after the motion, and where it was."""
    labels, affine = head
    points = np.argwhere(brain_mask(labels))[::50] @ affine[:3, :3].T + affine[:3, 3]
    total = matrix @ motion
    return np.linalg.norm(points @ total[:3, :3].T + total[:3, 3] - points, axis=-1).mean()


@pytest.mark.parametrize(
    ("modality", "sizes", "shape", "turn"),
    [
        ("T2", (2, 2, 2), (96, 112, 80), (0, 0, 0)),
        ("FLAIR", (2, 2, 5), (96, 110, 29), (4, -3, 5)),
        ("MRA", (1.5, 1.5, 2), (128, 144, 40), (0, 6, 0)),
    ],
)
def test_recovers_a_motion(head, t1, modality, sizes, shape, turn):
    image = synthesize_image(head[0], modality, seed=4)
    moving, affine = scan(image, head[1], MOTION, sizes, shape, turn)
    fit = register_rigid(moving, affine, *t1, skull_stripped=False)
    assert error_mm(fit.matrix, MOTION, head) < 1
    assert fit.mutual_information > 0.5
    np.testing.assert_allclose(fit.matrix[:3, :3] @ fit.matrix[:3, :3].T, np.eye(3), atol=1e-9)
    np.testing.assert_array_equal(fit.matrix[3], [0, 0, 0, 1])


def test_skull_stripped_scans_in_the_same_way_twice(head):
    """As of ISLES 2022: zeros around the brain are intensities like others, and a second time gives the same bits."""
    flair, dwi = (synthesize_image(head[0], name, seed=5, skull_stripped=True) for name in ("FLAIR", "DWI"))
    moving = scan(flair, head[1], MOTION, (2, 2, 5), (96, 110, 29))
    fit = register_rigid(*moving, dwi, head[1], skull_stripped=True)
    assert error_mm(fit.matrix, MOTION, head) < 1
    again = register_rigid(*moving, dwi, head[1], skull_stripped=True)
    np.testing.assert_array_equal(again.matrix, fit.matrix)
    assert again.mutual_information == fit.mutual_information


def test_useless_header_and_axes_stored_otherwise(head, t1):
    """The head lies 40 cm off by its header, in a slab of 90 mm stored in another order of axes, one reversed."""
    motion = rigid((5, 8, -6), (250, -200, 240))
    image = synthesize_image(head[0], "T2", seed=4)
    moving, affine = scan(image, head[1], rigid((5, 8, -6), (0, 0, 0)), (2, 2, 2), (96, 112, 45))
    affine[:3, 3] += (250, -200, 240)
    order = np.eye(4)[:, [2, 0, 1, 3]]
    order[2, 0], order[2, 3] = -1, moving.shape[2] - 1
    fit = register_rigid(moving.transpose(2, 0, 1)[::-1], affine @ order, *t1, skull_stripped=False)
    assert error_mm(fit.matrix, motion, head) < 1


def test_refuses_a_head_that_is_turned_too_far(t1):
    moving, affine = scan(*t1, rigid((0, 0, 52), (5, 5, 5)), (2, 2, 2), (96, 112, 95))
    with pytest.raises(InputError, match=r"turned by \d\d degrees"):
        register_rigid(moving, affine, *t1, skull_stripped=False)


def test_refuses_what_cannot_be_registered(t1):
    volume, affine = t1
    with pytest.raises(InputError, match="fixed volume without contrast"):
        register_rigid(volume, affine, np.ones((9, 9, 9)), affine, skull_stripped=False)
    with pytest.raises(InputError, match="moving volume without contrast"):
        register_rigid(-volume, affine, volume, affine, skull_stripped=False)
    with pytest.raises(InputError, match="moving volume of shape"):
        register_rigid(volume[0], affine, volume, affine, skull_stripped=False)
    with pytest.raises(InputError, match="share less than"):
        register_rigid(volume, affine, volume[:, :, :1], rigid((20, 0, 0), (0, 0, 0)) @ affine, skull_stripped=False)
    with pytest.raises(InputError, match="share less than") as caught:
        register_rigid(volume[40:50, 50:60, 40:50], affine, volume, affine, skull_stripped=False)
    assert "\n" not in str(caught.value)
