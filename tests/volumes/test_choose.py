"""The most similar examples are chosen, whatever their contrast, and one of them shows the structure."""

import numpy as np
import pytest

from neuralizer_jax.volumes.aligned import align_example, align_scan
from neuralizer_jax.volumes.choose import choose, similarity
from neuralizer_jax.volumes.scan import Example, Scan

AFFINE = np.eye(4)


def anatomy(size, seed=0):
    """A bright ball in textured surroundings."""
    grid = np.indices((40, 40, 40)) - 20
    ball = (grid**2).sum(axis=0) < size**2
    return 1 + ball + 0.3 * np.random.default_rng(seed).random(ball.shape), ball


def example(size, name, *, show=True, invert=False):
    image, ball = anatomy(size, seed=size)
    return align_example(
        Example(Scan(4 - image if invert else image, AFFINE, name), ball * show, (1,)), aligned=True, deformable=False
    )


@pytest.fixture(scope="module")
def target():
    return align_scan(Scan(anatomy(8)[0], AFFINE), aligned=True)


def names(chosen):
    return [x.scan.name for x, _ in chosen]


def test_most_similar_come_first(target):
    examples = [example(14, "large"), example(8, "same"), example(11, "between"), example(9, "dark", invert=True)]
    chosen = choose(target, examples, 1, 3)
    assert names(chosen) == ["same", "dark", "between"]
    assert [like for _, like in chosen] == sorted((like for _, like in chosen), reverse=True)


def test_one_example_shows_the_structure(target):
    examples = [example(8, "without", show=False), example(14, "with")]
    assert names(choose(target, examples, 1, 1)) == ["with"]
    assert names(choose(target, examples, 1, 2)) == ["without", "with"]


def test_similarity_has_its_ends():
    noise = np.random.default_rng(0).random((2, 50000))
    assert similarity(noise[0], noise[0]) == pytest.approx(1)
    assert similarity(noise[0], noise[1]) < 0.02
    assert similarity(noise[0], np.zeros(50000)) == 0
