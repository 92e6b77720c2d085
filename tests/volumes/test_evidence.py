"""Each sign falls with what it looks at, and with nothing else."""

import numpy as np
import pytest

from neuralizer_jax.volumes import evidence as evidence_module
from neuralizer_jax.volumes.aligned import align_example, align_scan
from neuralizer_jax.volumes.boxes import Box
from neuralizer_jax.volumes.evidence import Evidence, gather
from neuralizer_jax.volumes.scan import Example, Scan
from neuralizer_jax.volumes.structure import StructurePrediction

SHAPE = (40, 40, 40)
BOX = Box((0, 0, 0), SHAPE)
PLACE = (20, 20, 20)


def ball(place=PLACE, radius=7.0):
    grid = np.indices(SHAPE) - np.reshape(place, (3, 1, 1, 1))
    return (grid**2).sum(axis=0) < radius**2


def image(place=PLACE, radius=7.0, seed=0):
    return 1 + 2 * ball(place, radius) + np.random.default_rng(seed).random(SHAPE)


def examples(count=3, radius=7.0):
    return [
        align_example(
            Example(Scan(image(radius=radius, seed=seed), np.eye(4)), ball(radius=radius)),
            aligned=True,
            deformable=False,
        )
        for seed in range(1, 1 + count)
    ]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    monkeypatch.setattr(evidence_module, "reverse_check", lambda *arguments: 0.7)


def signs(planes, *, target=None, vote=None, others=None):
    planes = np.asarray(planes, np.float16)
    vote = planes[0] if vote is None else np.asarray(vote, np.float16)
    prediction = StructurePrediction(1, BOX, planes, vote, 0.0, 1.0, ())
    scan = align_scan(Scan(image() if target is None else target, np.eye(4)), aligned=True)
    return gather(None, {}, scan, examples() if others is None else others, prediction)


def differing(found, perfect):
    return {name for name in vars(found) if getattr(found, name) < getattr(perfect, name) - 0.1}


@pytest.fixture(scope="module")
def truth():
    return [ball()] * 3


def test_the_truth_has_no_bad_sign(truth):
    assert signs(truth) == Evidence(
        planes=1,
        vote=1,
        certainty=1,
        reverse=0.7,
        likeness=pytest.approx(1, abs=0.05),
        information=pytest.approx(1, abs=0.1),
        volume=1,
        place=1,
    )


def test_each_sign_sees_its_own_fault(truth):
    perfect = signs(truth)
    assert differing(signs([ball(), ball((22, 20, 20)), ball((18, 20, 20))]), perfect) == {"planes", "certainty"}
    assert differing(signs(truth, vote=ball((26, 20, 20))), perfect) == {"vote"}
    assert differing(signs([0.55 * ball() + 0.2] * 3, vote=ball()), perfect) == {"certainty"}
    assert differing(signs([ball(radius=5)] * 3), perfect) == {"volume"}
    assert differing(signs([ball((27, 20, 20))] * 3), perfect) == {"place"}


def test_another_contrast_and_another_place(truth):
    inverted, moved = (signs(truth, target=target) for target in (5 - image(), image((34, 20, 20))))
    assert inverted.likeness < 0.1
    assert inverted.information > 0.5
    assert moved.likeness < 0.2
    assert moved.information < 0.3


def test_worse_is_lower(truth):
    away = [signs([ball((20 + mm, 20, 20))] * 3).place for mm in (1, 4, 8)]
    assert away == sorted(away, reverse=True)
    assert len(set(away)) == 3
    smaller = [signs([ball(radius=radius)] * 3).volume for radius in (6.5, 5, 3)]
    assert smaller == sorted(smaller, reverse=True)
    assert len(set(smaller)) == 3


def test_examples_that_differ_allow_the_target_to_differ(truth):
    various = examples(2, radius=5) + examples(2, radius=9)
    assert signs([ball(radius=9)] * 3, others=various).volume > signs([ball(radius=9)] * 3).volume + 0.3


def test_nothing_found():
    found = signs(np.zeros((3, *SHAPE)))
    assert (found.planes, found.certainty, found.reverse, found.volume, found.place) == (0, 0, 0, 0, 0)


def test_one_plane_and_one_example(truth):
    found = signs(truth[:1], others=examples(1))
    assert found.planes == found.certainty == 1
    assert found.likeness > 0.9


def test_examples_without_the_structure_have_no_say(truth):
    without = align_example(
        Example(Scan(5 - image(seed=9), np.eye(4)), np.zeros(SHAPE, int), (1,)), aligned=True, deformable=False
    )
    assert signs(truth, others=[*examples(), without]) == signs(truth)
