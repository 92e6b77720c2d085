"""`view` gives the viewer of a notebook the scan and its labels where they lie."""

import gzip
import sys

import nibabel as nib
import numpy as np
import pytest

from neuralizer_jax import InputError, Prediction, Scan, view
from neuralizer_jax.volumes.skull_stripping import BrainMask


def layers(widget):
    return [nib.Nifti1Image.from_bytes(gzip.decompress(volume.data)) for volume in widget.volumes]


def at(image, world):
    """The value at a place in mm."""
    voxel = np.linalg.inv(image.affine) @ [*world, 1]
    return np.asarray(image.dataobj)[tuple(np.rint(voxel[:3]).astype(int))]


def test_a_scan_and_its_mask_lie_where_they_are():
    pytest.importorskip("ipyniivue")
    values = np.random.default_rng(0).uniform(50, 100, (30, 28, 26))
    values[4, 5, 6] = 1000
    mask = values > 500
    affine = np.array([[0, 0, -2.0, 30], [-1, 0, 0, 40], [0, 1.5, 0, -50], [0, 0, 0, 1]])
    scan, labels = layers(view(BrainMask(mask, mask, Scan(values, affine), None)))
    world = (affine @ [4, 5, 6, 1])[:3]
    assert at(scan, world) == 255
    assert at(labels, world) == 1
    assert np.sum(np.asarray(labels.dataobj)) == 1


def test_one_plane_is_shown_as_its_array_is():
    pytest.importorskip("ipyniivue")
    mean = np.zeros((20, 24), np.float32)
    mean[3, 5] = 1
    labels = np.where(mean > 0.5, 17, 0).astype(np.int32)
    widget = view(Prediction(mean, 0 * mean, labels, (17,)), {17: "mine"})
    image = layers(widget)[1]
    ((x, y, _),) = np.argwhere(np.asarray(image.dataobj))
    right, up = (image.affine @ [x, y, 0, 1])[:2]
    assert (right, up) == (5, 20 - 1 - 3)
    assert widget.volumes[1].colormap_label.labels == ["", "mine"]


def test_a_scan_alone_has_one_layer():
    pytest.importorskip("ipyniivue")
    assert len(view(Scan(np.random.default_rng(0).random((9, 9, 9)), np.eye(4))).volumes) == 1


def test_what_to_install_is_said_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipyniivue", None)
    with pytest.raises(InputError, match=r"^view: needs ipyniivue, expected pip install 'neuralizer-jax\[notebook\]'$"):
        view(Scan(np.random.default_rng(0).random((9, 9, 9)), np.eye(4)))


def test_what_is_no_prediction_is_refused():
    with pytest.raises(InputError, match="ndarray is no prediction"):
        view(np.eye(3))
