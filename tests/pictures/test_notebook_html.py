"""What a prediction shows of itself in a notebook: all of it, in bounded size, with hostile names as text."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from neuralizer_jax import Prediction, Scan
from neuralizer_jax.pictures.notebook_html import overlaid, plane_html, scan_html
from neuralizer_jax.volumes.skull_stripping import BrainMask

HOSTILE = "</td><script>alert('x')</script>"


def pictures(html):
    found = re.findall(r'src="data:image/\w+;base64,([^"]+)"', html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(each)))) for each in found]


def segmentation(size=20, **changes):
    labels = np.zeros((size, size), np.int32)
    labels[2:6, 3:8] = 17
    mean = np.stack([labels == 17, labels == 53]).astype(np.float32) * 0.8
    return Prediction(**{"mean": mean, "std": 0 * mean, "labels": labels, "label_values": (17, 53), **changes})


def test_a_segmentation_shows_target_labels_and_their_sizes():
    target = np.linspace(0, 1, 400).reshape(20, 20)
    html = segmentation(target=target)._repr_html_()
    shown, over = pictures(html)
    assert shown.shape == (20, 20)
    assert np.ptp(over[2:6, 3:8], axis=-1).min() > 0  # coloured
    np.testing.assert_array_equal(over[10:, :, 0], shown[10:])  # grey beside the label, from the same image
    for text in ("segmentation 20 x 20", "17", "5.0%", "0.80", "53", "0.0%"):
        assert text in html


def test_what_a_prediction_lacks_is_not_shown():
    assert len(pictures(segmentation()._repr_html_())) == 1
    assert len(pictures(segmentation(std=np.ones((2, 20, 20), np.float32))._repr_html_())) == 2
    image = Prediction(np.eye(20, dtype=np.float32), np.zeros((20, 20), np.float32))
    html = image._repr_html_()
    assert "image 20 x 20, from 0 to 1" in html
    assert "<table" not in html


def test_a_volume_shows_its_middle_plane():
    mean = np.zeros((8, 9, 10), np.float32)
    mean[2, 3, 5] = 1
    (shown,) = pictures(Prediction(mean, 0 * mean)._repr_html_())
    assert np.argwhere(shown == 255).tolist() == [[2, 3]]


def test_pictures_and_tables_are_bounded():
    html = segmentation(size=3000)._repr_html_()
    assert max(pictures(html)[0].shape) <= 512
    many = {label: [str(label)] for label in range(1, 1001)}
    html = plane_html({"a": np.eye(8)}, many, ["n"])
    assert html.count("<tr>") < 50
    assert "and 960 more" in html
    scan = np.random.default_rng(0).random((400, 300, 30)).astype(np.float32)
    assert len(scan_html(scan, np.eye(4))) < 1e6


@pytest.mark.parametrize("image", [np.zeros((4, 4)), np.full((4, 4), 1e30), np.eye(4) * 1e-30])
def test_any_range_of_values_is_shown(image):
    assert pictures(plane_html({"a": image}))[0].shape == (4, 4)


def test_names_are_text():
    html = plane_html({HOSTILE: np.eye(8)}, {1: [HOSTILE]}, [HOSTILE], HOSTILE)
    html += scan_html(np.random.default_rng(0).random((9, 9, 9)), np.eye(4), title=HOSTILE)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 4


def test_colours_do_not_hide_the_image():
    image = np.linspace(0, 1, 64).reshape(8, 8)
    over = overlaid(image, np.ones((8, 8), int), [1])
    assert len(np.unique(over[..., 0])) > 20


def test_a_scan_is_shown_the_same_in_any_order_of_axes():
    x, y, z = np.indices((40, 36, 32))
    values = np.where((x - 18) ** 2 + (y - 18) ** 2 + (z - 12) ** 2 < 100, 100.0 + x, 1)
    mask = (x > 20) & (values > 1)
    affine = np.diag([2.0, 2, 2, 1])
    turned = np.array([[0, 0, -2.0, 78], [2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 1]])
    one = BrainMask(mask, mask, Scan(values, affine), None)._repr_html_()
    other = [v.transpose(1, 2, 0)[:, :, ::-1] for v in (mask, values)]
    assert BrainMask(other[0], other[0], Scan(other[1], turned), None)._repr_html_() == one
    assert f"{8 * mask.sum():,}" in one
