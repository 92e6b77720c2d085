"""A structure that is right predicts the examples; one that is wrong or empty does not."""

import numpy as np

from neuralizer_jax.volumes import reverse_check as module
from neuralizer_jax.volumes.aligned import align_example, align_scan
from neuralizer_jax.volumes.boxes import Box
from neuralizer_jax.volumes.reverse_check import reverse_check
from neuralizer_jax.volumes.scan import Example, Scan
from neuralizer_jax.volumes.structure import StructurePrediction

SHAPE = (32, 32, 32)
BALL = ((np.indices(SHAPE) - 16) ** 2).sum(axis=0) < 36
IMAGE = 1 + 2 * BALL + np.random.default_rng(0).random(SHAPE)


def checked(mask, monkeypatch, seen=None):
    """With a network that copies the mask of its only example."""

    def copies(model, params, target, images, masks, inside, planes, every):
        if seen is not None:
            seen.append((len(images), planes))
        return masks[:, *inside]

    monkeypatch.setattr(module, "predict_planes", copies)
    target = align_scan(Scan(IMAGE, np.eye(4)), aligned=True)
    examples = [align_example(Example(Scan(IMAGE, np.eye(4)), BALL), aligned=True, deformable=False)] * 5
    planes = np.asarray(mask, np.float16)[None]
    prediction = StructurePrediction(1, Box((0, 0, 0), SHAPE), planes, planes[0], 0.0, 1.0, ())
    return reverse_check(None, {}, target, examples, prediction)


def test_right_wrong_and_empty(monkeypatch):
    assert checked(BALL, monkeypatch) == 1
    assert 0.2 < checked(np.roll(BALL, 4, axis=0), monkeypatch) < 0.8
    assert checked(np.roll(BALL, 15, axis=1), monkeypatch) == 0
    assert checked(np.zeros(SHAPE), monkeypatch) == 0


def test_few_examples_in_one_plane(monkeypatch):
    seen = []
    checked(BALL, monkeypatch, seen)
    assert seen == [(1, ("coronal",))] * 3
