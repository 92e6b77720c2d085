"""Deformations are found whatever the contrast, kept by content, and the way there and back is the same."""

import numpy as np
import pytest

from input_pipeline.space.grid import AFFINE, ORIGIN, SHAPE
from neuralizer_jax.volumes.aligned import AlignedExample, AlignedScan
from neuralizer_jax.volumes.alignment import Alignment
from neuralizer_jax.volumes.boxes import Box, box_around, cut
from neuralizer_jax.volumes.deformation import Deformation, find_deformation
from neuralizer_jax.volumes.displacement import FIELD_SHAPE, moved
from neuralizer_jax.volumes.moments import moments

from .test_displacement import waves

TILTED = np.array([[1.2, 0.1, 0, -70], [-0.1, 1.1, 0, -80], [0, 0.2, 1.3, -60], [0, 0, 0, 1]])


def ball(radius=12):
    """A ball in a scan."""
    voxels = np.indices((110, 120, 100)).reshape(3, -1)
    places = (TILTED[:3, :3] @ voxels + TILTED[:3, 3:]).reshape(3, 110, 120, 100)
    return np.linalg.norm(places - np.reshape((10, 5, 10), (3, 1, 1, 1)), axis=0) < radius


@pytest.fixture(scope="module")
def example():
    mask = ball()
    scan = AlignedScan(
        "scan", mask.astype(np.float16), TILTED, Alignment(np.eye(4)), Deformation(waves().astype(np.float16))
    )
    return AlignedExample(scan, mask.astype(np.int32) * 7, (7,))


def test_a_mask_is_where_it_was_after_the_way_to_the_template_and_back(example):
    place = example.moments[7]
    box = box_around(place.low, place.high, 8)
    mask = example.mask(7, box)
    part, back = example.scan.take_back(mask, box)
    found = np.zeros(example.labels.shape, bool)
    found[part] = back > 0.5
    truth = example.labels == 7
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.98
    np.testing.assert_allclose(example.scan.cut(box), mask, atol=0.75)


def test_moments_are_those_in_the_template(example):
    place = example.moments[7]
    box = box_around(place.low, place.high, 8)
    there = moments(example.mask(7, box) > 0, box.affine)
    np.testing.assert_allclose(place.centre, there.centre, atol=0.3)
    np.testing.assert_allclose((place.low, place.high), (there.low, there.high), atol=2)
    assert place.mm3 == pytest.approx(there.mm3, rel=0.02)
    undeformed = moments(example.labels == 7, TILTED)
    assert np.linalg.norm(place.centre - undeformed.centre) > 1.5


@pytest.fixture(scope="module")
def deformed_template():
    """The template, moved by a known field, on a coarse grid."""
    from nilearn.datasets import load_mni152_template

    image = load_mni152_template(resolution=2)
    field = waves(amplitude=4, wavelength=120).astype(np.float16)
    known = Deformation(field)
    box = Box(ORIGIN, SHAPE)
    values = cut(np.asarray(image.dataobj, np.float32), image.affine, box, field=known.to_template)
    return np.clip(values / values.max(), 0, 1).astype(np.float16), field


@pytest.mark.parametrize(
    ("contrast", "planes"),
    [
        (lambda x: x, slice(None)),
        (lambda x: np.where(x > 0.1, 1.1 - x, 0), slice(None)),
        (lambda x: x, slice(60, 110)),
    ],
    ids=["T1", "inverted", "slab"],
)
def test_finds_a_known_deformation(tmp_path, deformed_template, contrast, planes):
    values, field = deformed_template
    values = contrast(values)[:, :, planes].astype(np.float16)
    low = planes.start or 0
    affine = AFFINE.copy()
    affine[2, 3] += low
    found = find_deformation(values, affine, skull_stripped=True, cache=tmp_path)
    height = np.arange(-10, 26, 5.0) if low else np.arange(-40, 41, 10.0)
    places = np.stack(np.meshgrid(*(np.arange(-40, 41, 10.0),) * 2, height)).reshape(3, -1)
    wrong = np.linalg.norm(moved(places, found.to_scan) - moved(places, field), axis=0)
    untouched = np.linalg.norm(places - moved(places, field), axis=0)
    assert wrong.mean() < 0.5 * untouched.mean()


def test_is_found_once_and_again_if_damaged(tmp_path, monkeypatch):
    calls = []

    def deform(values, seen, *, skull_stripped, step_mm):
        calls.append(skull_stripped)
        return np.full(FIELD_SHAPE, len(calls), np.float32)

    monkeypatch.setattr("input_pipeline.align.deform_to_template.deform_to_template", deform)
    values = np.random.default_rng(0).random((9, 9, 9)).astype(np.float16)

    def find(values=values, affine=AFFINE, cache=tmp_path):
        return float(find_deformation(values, affine, skull_stripped=False, cache=cache).to_scan[0, 0, 0, 0])

    assert [find(), find(), find(values / 2), find(affine=TILTED)] == [1, 1, 2, 3]
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    assert find() == 4
    for path in tmp_path.iterdir():
        np.savez(path, to_scan=np.full(FIELD_SHAPE, np.nan, np.float16))
    assert find() == 5
    (tmp_path / "file").write_text("")
    assert find(cache=tmp_path / "file" / "cache") == 6
