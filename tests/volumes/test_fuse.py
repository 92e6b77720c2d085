"""The vote of the examples: local weights, and no say where it disagrees with the network."""

import numpy as np

from neuralizer_jax.volumes.fuse import local_vote, share_of_vote


def blob(centre):
    grid = np.indices((24, 24, 24)) - np.reshape(centre, (3, 1, 1, 1))
    return ((grid**2).sum(axis=0) < 36).astype(np.float32)


def test_an_example_that_resembles_the_target_counts_more():
    rng = np.random.default_rng(0)
    texture = rng.random((24, 24, 24), np.float32) * 0.2
    target = blob((12, 12, 12)) * 0.5 + texture
    images = np.stack([target, blob((14, 12, 12)) * 0.5 + rng.random((24, 24, 24), np.float32) * 0.2])
    masks = np.stack([blob((12, 12, 12)), blob((14, 12, 12))])
    vote = local_vote(target, images, masks)
    assert ((vote > 0.5) == (masks[0] > 0)).mean() > ((vote > 0.5) == (masks[1] > 0)).mean() + 0.01

    # The contrast does not matter.
    np.testing.assert_allclose(local_vote(1 - target, images, masks), vote, atol=1e-3)


def test_one_example_votes_alone():
    mask = blob((12, 12, 12))
    vote = local_vote(mask, mask[None], mask[None])
    assert ((vote > 0.5) == (mask > 0)).mean() > 0.99
    assert vote.max() <= 1


def test_lesions_elsewhere_have_no_say():
    one, other, empty = blob((6, 6, 6)), blob((17, 17, 17)), np.zeros((24, 24, 24))
    assert share_of_vote(one, other, 8) == share_of_vote(one, empty, 8) == share_of_vote(empty, one, 8) == 0
    assert 0 < share_of_vote(one, one, 1) < share_of_vote(one, blob((6, 6, 7)), 8) < 0.4
