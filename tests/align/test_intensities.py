"""Registration to the template recovers affine maps, bit for bit the same each time."""

import numpy as np
import pytest
from affine_maps import move, reorient, world_affine

from input_pipeline.align.intensities import register_to_template
from neuralizer_jax.errors import InputError


@pytest.fixture(scope="module")
def template():
    """nilearn's template at 2 mm: every other voxel."""
    from nilearn.datasets import load_mni152_template

    image = load_mni152_template(resolution=1)
    return np.asarray(image.dataobj, np.float32)[::2, ::2, ::2], image.affine @ np.diag([2.0, 2, 2, 1])


def test_recovers_an_affine_map(template):
    volume, affine = template
    transform = world_affine((15, -12, 18), (0.85, 1.1, 1.15), (0.05, -0.03, 0), (35, -300, 20))
    stored, stored_affine = reorient(volume, transform @ affine, (2, 0, 1), (0, 2))
    fit = register_to_template(stored, stored_affine, skull_stripped=True)
    points = move(np.argwhere(volume > 0)[::97], affine)
    assert np.linalg.norm(move(points, fit.matrix @ transform) - points, axis=-1).mean() < 1
    assert fit.mutual_information > 1

    # The same again, bit for bit; and what lies outside of the mask has no influence.
    unstripped = np.where(stored > 0, stored, np.random.default_rng(0).random(stored.shape))
    again = register_to_template(unstripped, stored_affine, mask=stored > 0, skull_stripped=False)
    np.testing.assert_array_equal(again.matrix, fit.matrix)


def test_refuses_what_has_no_contrast():
    with pytest.raises(InputError, match="contrast"):
        register_to_template(np.ones((4, 4, 4)), np.eye(4), skull_stripped=True)
    with pytest.raises(InputError, match="mask"):
        register_to_template(np.ones((4, 4, 4)), np.eye(4), mask=np.ones((2, 2, 2)), skull_stripped=True)
    with pytest.raises(InputError, match="three axes"):
        register_to_template(np.ones((4, 4)), np.eye(4), skull_stripped=True)


@pytest.mark.parametrize("modality", ["T1", "T2"])
def test_a_head_that_hardly_fits_the_brain_is_aligned_to_heads(modality):
    from input_pipeline.space.grid import AFFINE
    from input_pipeline.synthesis.images import synthesize_image
    from input_pipeline.synthesis.phantom import phantom_label_map

    labels = phantom_label_map()
    affine = AFFINE @ np.diag([2.0, 2, 2, 1])
    heads = ((synthesize_image(labels, name, seed=0)[::2, ::2, ::2], affine) for name in ("T1", "T2"))
    other = synthesize_image(labels, modality, seed=1)[::2, ::2, ::2]
    transform = world_affine((8, -5, 12), (1, 1, 1), (0, 0, 0), (15, -10, 20))
    fit = register_to_template(other, transform @ affine, skull_stripped=False, heads=heads)
    points = move(np.argwhere(labels[::2, ::2, ::2] == 2)[::997], affine)
    assert np.linalg.norm(move(points, fit.matrix @ transform) - points, axis=-1).mean() < 1


@pytest.mark.parametrize(("axis", "part"), [(2, slice(8, 36)), (1, slice(30, 60)), (2, slice(40, 70))])
def test_a_slab_of_a_brain_is_found(template, axis, part):
    image, affine = template
    index = [slice(None)] * 3
    index[axis] = part
    slab = image[tuple(index)]
    offset = np.eye(4)
    offset[axis, 3] = part.start
    transform = world_affine((6, -4, 8), (1.02, 0.98, 1), (0, 0, 0), (60, -10, 200))
    fit = register_to_template(slab, transform @ affine @ offset, skull_stripped=True)
    points = move(np.argwhere(slab > slab.mean())[::97], affine @ offset)
    assert np.linalg.norm(move(points, fit.matrix @ transform) - points, axis=-1).mean() < 2
