"""Which targets and predictions are noted, and which are not, on made-up heads with two hemispheres that differ."""

import numpy as np
import pytest
from scipy import ndimage

from neuralizer_jax.inference.plausibility import plausibility_notes
from neuralizer_jax.inference.predict import Prediction

SIZE = 128
LABELS = (4, 17, 43, 53)


def head(seed):
    """Image in [0, 1] and label map, `[SIZE, SIZE]`; people differ in size, position and noise."""
    random = np.random.default_rng(seed)
    rows, columns = (np.indices((SIZE, SIZE)) - 63.5) / random.normal(1, 0.03) - random.normal(0, 1, (2, 1, 1))
    image, labels = np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE), int)
    for row, column, height, width, grey, label in [
        (0, 0, 52, 48, 0.6, 0),
        (2, 0, 44, 40, 0.95, 0),
        (-8, -8, 14, 6, 0.1, 4),
        (-8, 9, 12, 7, 0.1, 43),
        (20, -26, 6, 10, 0.55, 17),
        (18, 27, 8, 9, 0.55, 53),
        (-25, 20, 9, 7, 0.5, 0),
    ]:
        inside = ((rows - row) / height) ** 2 + ((columns - column) / width) ** 2 < 1
        image[inside], labels[inside] = grey, label
    noise = 0.04 * random.standard_normal(image.shape)
    return np.clip(image + noise * (image > 0), 0, 1), labels


def notes(count, change=lambda image: image, predicted=lambda labels: labels, **options):
    """Notes on a changed target of `count` examples, for which the network finds its own or changed labels."""
    examples = [head(seed) for seed in range(count)]
    image, labels = head(99)
    found = predicted(labels)
    prediction = Prediction(np.zeros((4, SIZE, SIZE)), np.zeros((4, SIZE, SIZE)), found, LABELS)
    inputs, outputs = (np.stack(arrays) for arrays in zip(*examples, strict=True))
    return plausibility_notes(change(image), inputs, outputs, prediction, **options)


def move(rows, columns):
    return lambda image: ndimage.shift(image, (rows, columns), order=1)


GOOD = {
    "as it is": lambda image: image,
    "darker": lambda image: 0.5 * image,
    "other contrast curve": lambda image: image**1.5,
    "noisy": lambda image: np.clip(image + 0.1 * np.random.default_rng(0).standard_normal(image.shape), 0, 1),
    "a little to the left": move(0, -2),
}
UNLIKE = {
    "to the right": move(0, 15),
    "down": move(15, 0),
    "turned": lambda image: ndimage.rotate(image, 90, reshape=False, order=1),
    "upside down": lambda image: image[::-1],
    "inverted": lambda image: np.where(image > 0.05, 1.05 - image, 0),
    "another image": lambda image: np.random.default_rng(0).random(image.shape),
}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("count", [1, 2, 8])
def test_a_target_like_its_examples_is_not_noted(name, count):
    assert notes(count, GOOD[name]) == []


@pytest.mark.parametrize("name", UNLIKE)
@pytest.mark.parametrize("count", [1, 2, 8])
def test_a_target_unlike_its_examples_is_noted_in_one_line(name, count):
    (note,) = notes(count, UNLIKE[name])
    assert note.startswith("target: resembles the examples little (correlation ")
    assert "\n" not in note


@pytest.mark.parametrize("count", [2, 8])
def test_a_mirrored_target_is_noted(count):
    (note,) = notes(count, lambda image: image[:, ::-1])
    assert note.startswith("target: may be mirrored")


def test_symmetric_heads_are_never_called_mirrored():
    def symmetric(image):
        return image + image[:, ::-1]

    inputs = np.stack([symmetric(head(seed)[0]) for seed in range(4)])
    prediction = Prediction(inputs[0], inputs[0])
    for index in range(4):
        target = inputs[index] + 0.01 * np.random.default_rng(index).random(inputs[0].shape)
        assert plausibility_notes(target, inputs, inputs, prediction) == []


def test_an_example_unlike_the_others_is_noted_by_its_name():
    inputs = np.stack([head(seed)[0] for seed in range(5)])
    inputs[2] = inputs[2][::-1]
    prediction = Prediction(inputs[0], inputs[0])
    names = ["t.png", *(f"in{index}.png" for index in range(5))]
    (note,) = plausibility_notes(head(99)[0], inputs, inputs, prediction, names=names)
    assert note.startswith("in2.png: resembles")


def test_unrelated_images_are_not_compared():
    """Nothing is usual among images without anything in common."""
    random = np.random.default_rng(0)
    images = random.random((9, 64, 64))
    assert plausibility_notes(images[0], images[1:], images[1:], Prediction(images[0], images[0])) == []


def test_channels_are_compared_too():
    def channels(image):
        return np.stack([image, 1 - image], axis=-1)

    inputs = np.stack([channels(head(seed)[0]) for seed in range(4)])
    prediction = Prediction(inputs[0, ..., 0], inputs[0, ..., 0])
    target = channels(head(99)[0])
    assert plausibility_notes(target, inputs, inputs[..., 0], prediction) == []
    assert len(plausibility_notes(target[..., ::-1], inputs, inputs[..., 0], prediction)) == 1


@pytest.mark.parametrize("count", [1, 4])
def test_a_structure_that_is_missing_or_misplaced_is_noted_with_its_number(count):
    def without(labels):
        return np.where(labels == 17, 0, labels)

    def misplaced(labels):
        moved = np.roll(np.where(labels == 53, 53, 0), -20, axis=0)
        return np.where(moved > 0, 53, np.where(labels == 53, 0, labels))

    (note,) = notes(count, predicted=without)
    assert note.startswith("target: label 17 has 0 pixels, at least ")
    (note,) = notes(count, predicted=misplaced, label_names={53: "Right-Hippocampus"})
    assert note.startswith("target: Right-Hippocampus lies ")


def test_a_structure_that_not_all_examples_show_may_be_missing():
    examples = [head(seed) for seed in range(4)]
    outputs = np.stack([labels for _, labels in examples])
    outputs[1][outputs[1] == 17] = 0
    image, labels = head(99)
    prediction = Prediction(np.zeros((4, SIZE, SIZE)), np.zeros(1), np.where(labels == 17, 0, labels), LABELS)
    assert plausibility_notes(image, np.stack([image for image, _ in examples]), outputs, prediction) == []


def test_many_odd_structures_are_one_line():
    (note,) = notes(4, predicted=np.zeros_like)
    assert note.count("pixels") == 4
    assert "\n" not in note
