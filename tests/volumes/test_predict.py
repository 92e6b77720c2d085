"""A head in any storage and place gives the same label map on its own voxels."""

import numpy as np
import pytest
from affine_maps import ORIENTATIONS, reorient
from conftest import draw_params
from miniature_head import ball, head_affine, head_image, head_labels, posed

from neuralizer_jax import Example, Scan, load_weights, predict_volume
from neuralizer_jax.errors import InputError
from neuralizer_jax.model import Neuralizer
from neuralizer_jax.volumes.aligned import align_example

TINY = Neuralizer(features=4, stages=2)
THALAMI = (10, 49)


@pytest.fixture(scope="module")
def tiny():
    return TINY, draw_params(TINY)


def head(seed=0, affine=None, name="target"):
    image = head_image(skull_stripped=True, seed=seed)
    return Scan(image, head_affine() if affine is None else affine, name)


def example(seed, labels=None, annotated=THALAMI):
    return Example(head(seed, name=f"example {seed}"), head_labels() if labels is None else labels, annotated)


def aligned_examples():
    return [align_example(example(seed), aligned=True, deformable=False) for seed in (1, 2)]


def dice(one, other):
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


@pytest.fixture(scope="module")
def small():
    return load_weights("small")


def test_segments_a_turned_head_on_its_own_voxels(small):
    affine = posed((10, -5, 20), (15, -40, 30))
    # The alignment is known: registration has tests of its own.
    target = Scan(head().values, affine, "turned", to_mni=head_affine() @ np.linalg.inv(affine))
    stages = []
    found = predict_volume(
        *small, target, aligned_examples(), label_values=[10], deformable=False, planes=("coronal",),
        on_progress=lambda *step: stages.append(step),
    )  # fmt: skip
    assert dice(found.labels == 10, head_labels() == 10) > 0.85
    structure = found.structures[10]
    assert structure.voxels == np.count_nonzero(found.labels == 10)
    assert structure.mm3 == pytest.approx(27 * structure.voxels)
    assert structure.confidence > 0.8
    assert set(np.unique(found.labels)) == {0, 10}
    assert not found.notes()
    probability = found.probability(10)
    np.testing.assert_array_equal(found.labels == 10, probability > 0.5)
    assert stages[-1] == ("predicting", 1, 1)


def test_every_storage_gives_the_same_labels(tiny):
    examples = aligned_examples()

    def segment(scan):
        return predict_volume(
            *tiny, scan, examples, label_values=THALAMI, aligned=True, deformable=False, planes=("axial",)
        ).labels

    expected = segment(head())
    assert set(np.unique(expected)) == {0, *THALAMI}
    for axes, flips in ORIENTATIONS[3::4]:
        values, affine = reorient(head().values, head_affine(), axes, flips)
        labels, _ = reorient(expected, head_affine(), axes, flips)
        np.testing.assert_array_equal(segment(Scan(values, affine)), labels)


def test_a_structure_is_predicted_from_the_examples_that_were_annotated_for_it(tiny):
    left = np.where(head_labels() == 10, 10, 0)
    examples = [example(1), example(2, left, None), example(3, left, (10,))]
    found = predict_volume(*tiny, head(), examples, aligned=True, deformable=False, planes=("axial",))
    used = {label: sorted(name for name, _ in x.prediction.examples) for label, x in found.structures.items()}
    assert used == {10: ["example 1", "example 2", "example 3"], 49: ["example 1"]}


def test_resampled_examples_have_a_spread(tiny):
    def segment(draws, seed=0):
        return predict_volume(
            *tiny, head(), aligned_examples(), label_values=[10], aligned=True, deformable=False, planes=("axial",),
            bootstrap=draws, seed=seed,
        )  # fmt: skip

    once, drawn = segment(0), segment(3)
    assert not once.spread(10).any()
    assert drawn.spread(10).max() > 0
    np.testing.assert_array_equal(drawn.spread(10), segment(3).spread(10))
    assert not np.array_equal(drawn.spread(10), segment(3, seed=1).spread(10))


def test_structures_outside_of_the_scan_are_named(tiny):
    low = head_labels().shape[2] // 2
    moved = head_affine()
    moved[2, 3] += 3 * (low - 6)
    slab = Scan(head().values[..., low - 6 : low + 1], moved)
    labels = np.where(ball((0, 0, 60), 9), 1, 0) + np.where(ball((0, 0, 12), 18), 2, 0)
    found = predict_volume(
        *tiny, slab, [example(1, labels, None)], aligned=True, deformable=False, planes=("axial",)
    )  # fmt: skip
    assert not found.structures[1].voxels
    notes = found.notes({1: "crown"})
    assert "crown lies outside of the scan" in notes[0]
    assert "label 2 is cut off" in notes[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"examples": []}, "no examples"),
        ({"label_values": [10, 99]}, "label_values: 99 occurs in no example, expected some of 10, 49"),
        ({"examples_per_target": 0}, "examples_per_target: is 0"),
        ({"planes": ("oblique",)}, "planes: are oblique"),
        ({"planes": ()}, "planes: are none"),
        ({"bootstrap": -1}, "bootstrap, seed: are -1, 0"),
        ({"examples": [example(1, np.zeros(head_labels().shape))]}, "the examples show no label"),
        ({"target": head(affine=head_affine() + 900 * np.eye(4, k=3), name="far")}, "far: none of the structures"),
    ],
)
def test_bad_input_is_refused_in_one_line(tiny, changes, message):
    arguments = {"target": head(), "examples": [example(1)], "aligned": True, "deformable": False, **changes}
    with pytest.raises(InputError, match=message) as caught:
        predict_volume(*tiny, arguments.pop("target"), arguments.pop("examples"), **arguments)
    assert "\n" not in str(caught.value)


def test_a_network_of_volumes_is_refused():
    with pytest.raises(InputError, match="3 spatial axes"):
        predict_volume(Neuralizer(features=4, stages=2, dim=3), {}, head(), [example(1)])
