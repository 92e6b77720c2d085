"""Alignment by centroids recovers affine maps, however a volume is stored, and refuses what it cannot trust."""

import numpy as np
import pytest
from affine_maps import ORIENTATIONS, moved, reorient, world_affine
from hypothesis import given, settings
from hypothesis import strategies as st

from input_pipeline.align.centroids import fit_affine, fold_variants, label_centroids
from input_pipeline.align.reference import REFERENCE_CENTROIDS
from input_pipeline.space.grid import AFFINE, coronal_index
from input_pipeline.space.protocols import NEUROMORPHOMETRICS_TO_FREESURFER, other_side
from input_pipeline.space.resample import resample_to_grid
from input_pipeline.space.structure_names import FREESURFER_CLASSES
from neuralizer_jax.errors import InputError

IDENTITY = np.eye(4)


@pytest.fixture(scope="module")
def brain():
    """Balls at the reference's centroids, of a part of their volumes, 2 mm voxels: labels and affine."""
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = (-70, -100, -70)
    labels = np.zeros((71, 80, 71), np.int16)
    points = np.stack(np.indices(labels.shape), -1) * 2.0 + affine[:3, 3]
    for label, (centroid, volume) in sorted(REFERENCE_CENTROIDS.items(), key=lambda item: -item[1][1]):
        radius = min(6.0, np.cbrt(volume) / 4)
        labels[np.linalg.norm(points - centroid, axis=-1) < max(radius, 2.0)] = label
    return labels, affine


def test_label_centroids():
    labels = np.zeros((5, 6, 7))
    labels[1:3, 2, 3] = 17
    labels[4, 5, 6] = 53
    affine = np.array([[0, -2, 0, 10], [3, 0, 0, 20], [0, 0, 1, 30], [0, 0, 0, 1.0]])
    centroids = label_centroids(labels, affine)
    assert list(centroids) == [17, 53]
    np.testing.assert_allclose(centroids[17][0], [6, 24.5, 33])
    np.testing.assert_allclose(centroids[53][0], [0, 32, 36])
    assert (centroids[17][1], centroids[53][1]) == pytest.approx((12, 6))
    assert label_centroids(np.zeros((2, 2, 2), int), IDENTITY) == {}


@pytest.mark.parametrize("wrong", [np.full((2, 2, 2), 0.5), np.full((2, 2, 2), np.nan), np.ones((2, 2), int)])
def test_label_centroids_of_no_label_map(wrong):
    with pytest.raises(InputError, match="expected"):
        label_centroids(wrong, IDENTITY)


def test_cortical_parcels_are_one_cortex():
    parts = {1001: (np.array([0.0, 0, 0]), 1.0), 1035: (np.array([4.0, 0, 0]), 3.0), 2001: (np.ones(3), 2.0)}
    folded = fold_variants(parts)
    assert list(folded) == [3, 42]
    np.testing.assert_allclose(folded[3][0], [3, 0, 0])
    assert folded[3][1] == 4


@settings(max_examples=40)
@given(
    rotation=st.tuples(*[st.floats(-30, 30)] * 3),
    scale=st.tuples(*[st.floats(0.8, 1.2)] * 3),
    shear=st.tuples(*[st.floats(-0.05, 0.05)] * 3),
    shift=st.tuples(*[st.floats(-400, 400)] * 3),
)
def test_recovers_an_affine_map(rotation, scale, shear, shift):
    transform = world_affine(rotation, scale, shear, shift)
    fit = fit_affine(moved(REFERENCE_CENTROIDS, transform), REFERENCE_CENTROIDS)
    np.testing.assert_allclose(fit.matrix @ transform, IDENTITY, atol=1e-6)
    assert fit.residual_mm < 1e-6
    assert fit.matched == tuple(sorted(REFERENCE_CENTROIDS))


def test_fit_moves_with_the_subject(brain):
    """A subject and its affine copy end in the same place, though neither has the reference's shape."""
    rng = np.random.default_rng(0)
    subject = {label: (x + rng.normal(0, 2.5, 3), v) for label, (x, v) in REFERENCE_CENTROIDS.items()}
    transform = world_affine((10, -20, 15), (0.8, 1.1, 1.2), (0.05, -0.05, 0.02), (40, -30, 20))
    first = fit_affine(subject, REFERENCE_CENTROIDS)
    second = fit_affine(moved(subject, transform), REFERENCE_CENTROIDS)
    np.testing.assert_allclose(second.matrix @ transform, first.matrix, atol=1e-6)
    assert 1 < first.residual_mm < 6
    assert first.residual_mm == pytest.approx(second.residual_mm)


@pytest.mark.parametrize(("order", "flips"), ORIENTATIONS)
def test_axes_may_be_stored_in_any_way(brain, order, flips):
    labels, affine = brain
    transform = world_affine((5, -10, 20), (1.1, 0.9, 1.0), (0, 0.03, 0), (30, 300, -200))
    expected = fit_affine(label_centroids(labels, transform @ affine), REFERENCE_CENTROIDS)
    stored, stored_affine = reorient(labels, transform @ affine, order, flips)
    fit = fit_affine(label_centroids(stored, stored_affine), REFERENCE_CENTROIDS)
    np.testing.assert_allclose(fit.matrix, expected.matrix, atol=1e-6)
    np.testing.assert_allclose(fit.matrix @ transform, IDENTITY, atol=0.5)

    on_grid = resample_to_grid(stored, stored_affine, fit.matrix, labels=True, planes=[coronal_index(-21)])
    assert np.array_equal(on_grid, resample_to_grid(labels, transform @ affine, fit.matrix, labels=True, planes=[108]))
    left, right = (np.argwhere(on_grid == label)[:, 0].mean() + AFFINE[0, 3] for label in (17, 53))
    assert left == pytest.approx(-26.6, abs=1.5)
    assert right == pytest.approx(26.6, abs=1.5)


def test_missing_structures():
    transform = world_affine((20, 0, -25), (1.1, 0.9, 0.85), (0.02, 0, 0.05), (10, 20, 30))
    some = {label: REFERENCE_CENTROIDS[label] for label in (10, 49, 17, 53, 16, 3, 42, 12)}
    fit = fit_affine(moved(some, transform) | {999: (np.zeros(3), 10.0)}, REFERENCE_CENTROIDS)
    np.testing.assert_allclose(fit.matrix @ transform, IDENTITY, atol=1e-6)
    assert fit.matched == (3, 10, 12, 16, 17, 42, 49, 53)


@pytest.mark.parametrize("far", [25.0, 150.0, 5000.0])
def test_wrong_structures_have_no_say(far):
    transform = world_affine((20, 0, -25), (1.1, 0.9, 0.85), (0.02, 0, 0.05), (10, 20, 30))
    wrong = (2, 16, 8)  # among the largest
    subject = {
        label: (x + (far * np.array([0.6, 0, 0.8]) if label in wrong else 0), v)
        for label, (x, v) in REFERENCE_CENTROIDS.items()
    }
    fit = fit_affine(moved(subject, transform), REFERENCE_CENTROIDS)
    np.testing.assert_allclose(fit.matrix @ transform, IDENTITY, atol=1e-6)
    assert set(fit.matched) == set(REFERENCE_CENTROIDS) - set(wrong)


def test_one_structure_on_the_wrong_side():
    subject = REFERENCE_CENTROIDS | {17: REFERENCE_CENTROIDS[53], 53: REFERENCE_CENTROIDS[17]}
    fit = fit_affine(subject, REFERENCE_CENTROIDS)
    np.testing.assert_allclose(fit.matrix, IDENTITY, atol=1e-6)
    assert not {17, 53} & set(fit.matched)


def test_mirrored_brain_is_refused():
    with pytest.raises(InputError, match="left and right"):
        fit_affine(moved(REFERENCE_CENTROIDS, np.diag([-1.0, 1, 1, 1])), REFERENCE_CENTROIDS)


@pytest.mark.parametrize(("labels", "message"), [((), "0 structures"), ((10, 49, 17, 53, 16), "5 structures")])
def test_too_few_structures(labels, message):
    with pytest.raises(InputError, match=message) as caught:
        fit_affine({label: REFERENCE_CENTROIDS[label] for label in labels}, REFERENCE_CENTROIDS)
    assert "\n" not in str(caught.value)


def test_structures_in_a_plane():
    left = {label: x for label, x in REFERENCE_CENTROIDS.items() if 5 < -x[0][0] < 30}
    flat = {label: (x * [0, 1, 1], v) for label, (x, v) in left.items()}
    with pytest.raises(InputError, match="in a plane"):
        fit_affine(left, flat)


def test_flat_subject_is_refused():
    flat = {label: (x * [1, 0.01, 1], v) for label, (x, v) in REFERENCE_CENTROIDS.items()}
    with pytest.raises(InputError, match="scale"):
        fit_affine(flat, REFERENCE_CENTROIDS)


def test_reference_is_symmetric_and_where_anatomy_is():
    mirror = np.array([-1, 1, 1])
    assert REFERENCE_CENTROIDS.keys() == FREESURFER_CLASSES.keys()
    for label, (centroid, _) in REFERENCE_CENTROIDS.items():
        other = REFERENCE_CENTROIDS[int(other_side("freesurfer")[label])][0]
        np.testing.assert_array_equal(centroid * mirror, other)
        assert np.sign(centroid[0]) == {"left": -1, "right": 1}.get(FREESURFER_CLASSES[label].partition(" ")[0], 0)
    # Where label atlases in MNI152 space have them along y (mm): amygdala ahead of -12, fourth ventricle behind -28,
    # cerebellum behind -24, the thalamus' largest section at about -20.
    y = {label: centroid[1] for label, (centroid, _) in REFERENCE_CENTROIDS.items()}
    assert y[18] > -12
    assert y[15] < -28
    assert max(y[7], y[8]) < -24
    assert abs(y[10] + 20) < 5


def test_protocols_keep_sides():
    assert set(NEUROMORPHOMETRICS_TO_FREESURFER) & {71, 72, 73} == set()
    assert [NEUROMORPHOMETRICS_TO_FREESURFER[x] for x in (47, 48, 100, 101, 35)] == [53, 17, 42, 3, 16]
    assert REFERENCE_CENTROIDS.keys() - {*NEUROMORPHOMETRICS_TO_FREESURFER.values()} == set()
