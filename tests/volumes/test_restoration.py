"""Restoration of a small head (3 mm) from two small built-in examples, with a network that is not trained."""

import nibabel as nib
import numpy as np
import pytest
from miniature_head import SPACING, head_affine, head_image, use_as_built_in_head
from scipy.ndimage import map_coordinates

from neuralizer_jax import InputError
from neuralizer_jax.volumes.restoration import restore
from neuralizer_jax.volumes.scan import Scan

OPTIONS = {"examples_per_target": 2, "aligned": True, "planes": ("coronal",)}


@pytest.fixture(autouse=True)
def coarse_heads(monkeypatch):
    use_as_built_in_head(monkeypatch)


@pytest.fixture
def copying(monkeypatch):
    """A network whose output is the target."""
    from neuralizer_jax.volumes import slice_predictions

    monkeypatch.setattr(slice_predictions, "_predict", lambda model, params, target, *context: np.asarray(target))


def scan(values=None, affine=None, name="head"):
    return Scan(head_image() if values is None else values, head_affine() if affine is None else affine, name)


def test_what_the_network_leaves_as_it_is_comes_back_in_the_targets_unit(tiny_model, tiny_params, copying):
    target = scan()
    found = restore(tiny_model, tiny_params, target, "denoising", **OPTIONS)
    assert found.values.shape == target.values.shape
    inside = target.values > 150
    assert np.abs(found.values - target.values)[inside].max() < 2  # of 1000: float16
    assert [name for name, _ in found.examples] == ["built-in head 1", "built-in head 2"]


def test_a_scan_that_is_no_head_is_told(tiny_model, tiny_params, copying):
    noise = np.where(head_image() > 0, np.random.default_rng(0).random(head_image().shape) * 900 + 100, 0)
    assert restore(tiny_model, tiny_params, scan(), "denoising", **OPTIONS).warnings == ()
    (warning,) = restore(tiny_model, tiny_params, scan(noise), "denoising", **OPTIONS).warnings
    assert "resembles the examples little" in warning


def test_bias_correction_divides_by_a_smooth_field(tiny_model, tiny_params, copying, monkeypatch):
    from neuralizer_jax.volumes import slice_predictions

    target = scan()
    corrected = restore(tiny_model, tiny_params, target, "bias-correction", **OPTIONS)
    np.testing.assert_allclose(corrected.values, target.values, rtol=0.01, atol=1)
    # The network finds the left half too bright.

    def darker_on_the_left(model, params, x, *context):
        return np.asarray(x) * np.where(np.arange(x.shape[-1]) < x.shape[-1] // 2, 0.7, 1)

    monkeypatch.setattr(slice_predictions, "_predict", darker_on_the_left)
    corrected = restore(tiny_model, tiny_params, target, "bias-correction", **OPTIONS)
    ratio = corrected.values / np.maximum(target.values, 1)
    inside = target.values > 200
    left, right = ratio[:20][inside[:20]], ratio[44:][inside[44:]]
    assert left.mean() < 0.8 * right.mean()
    assert left.std() < 0.05 * left.mean()


def test_inpainting_changes_holes_alone(tiny_model, tiny_params, copying):
    values = head_image() + 1
    hole = (slice(28, 36), slice(40, 48), slice(30, 38))
    values[hole] = 0
    found = restore(tiny_model, tiny_params, scan(values), "inpainting", **OPTIONS)
    changed = found.values != values
    assert changed[hole].all()
    changed[hole] = False
    assert not changed.any()
    with pytest.raises(InputError, match="no region inside of the head"):
        restore(tiny_model, tiny_params, scan(head_image() + 1), "inpainting", **OPTIONS)


def test_super_resolution_divides_thick_slices(tiny_model, tiny_params, copying):
    values = head_image()[:, :, : 64 // 4 * 4].reshape(64, 75, 16, 4).mean(-1)
    affine = head_affine() @ np.diag([1, 1, 4, 1.0])
    affine[:3, 3] += head_affine()[:3, 2] * 1.5
    target = scan(values, affine)
    found = restore(tiny_model, tiny_params, target, "super-resolution", **OPTIONS)
    np.testing.assert_allclose(nib.affines.voxel_sizes(found.affine), SPACING)
    assert found.values.shape == (64, 75, 64)
    # At the middle of its slices it is the target.
    depth = np.linalg.inv(found.affine) @ target.affine @ np.stack([[0, 0, z, 1] for z in range(1, 15)], axis=1)
    differences = []
    for shift in (-1, 0, 1):
        places = np.meshgrid(np.arange(64), np.arange(75), depth[2] + shift, indexing="ij")
        differences.append(np.abs(map_coordinates(found.values, places, order=1) - values[..., 1:15]).mean())
    assert differences[1] < 15 < min(differences[0], differences[2])
    with pytest.raises(InputError, match="expected slices thicker than"):
        restore(tiny_model, tiny_params, scan(), "super-resolution", **OPTIONS)


def test_any_storage_gives_the_same_image(tiny_model, tiny_params):
    target = scan(head_image()[:, 20:36])
    image = nib.Nifti1Image(target.values, target.affine)
    turned = image.as_reoriented(np.array([[1, -1], [2, 1], [0, -1]]))
    other = scan(np.asarray(turned.dataobj), turned.affine)
    first, second = (restore(tiny_model, tiny_params, x, "denoising", **OPTIONS) for x in (target, other))
    back = nib.as_closest_canonical(nib.Nifti1Image(second.values, other.affine))
    np.testing.assert_array_equal(np.asarray(back.dataobj), first.values)


@pytest.mark.parametrize(
    ("task", "message"),
    [("sharpening", "expected one of denoising"), ("bias-correction", "holds negative values")],
)
def test_wrong_input_is_refused(tiny_model, tiny_params, task, message):
    with pytest.raises(InputError, match=message):
        restore(tiny_model, tiny_params, scan(head_image() - 5), task, **OPTIONS)
