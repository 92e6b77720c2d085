"""Scores of label maps of whole scans, against values made by hand and plain definitions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.spatial.transform import Rotation

from neuralizer_jax.evaluation.case_scores import hd95
from neuralizer_jax.evaluation.scores import TENTHS
from neuralizer_jax.evaluation.volume_scores import volume_scores
from neuralizer_jax.volumes.scan import to_ras

AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])


def bar(first=10, last=30):
    """Label 5 from `first` to before `last` along y."""
    labels = np.zeros((7, 40, 7), np.int32)
    labels[2:5, first:last, 2:5] = 5
    return labels


def scores(found, truth, affine=AFFINE, to_mni=None):
    return volume_scores(found, truth, [5], affine=affine, to_mni=affine if to_mni is None else to_mni)[5]


def plain_hd95(mask, other, spacing):
    """By the definition, every surface voxel with every other."""

    def surface(mask):
        inside = {tuple(voxel) for voxel in np.argwhere(mask).tolist()}
        steps = [step for axis in np.eye(3, dtype=int) for step in (axis, -axis)]
        return [v for v in inside if not all(tuple(np.add(v, step).tolist()) in inside for step in steps)]

    def directed(here, there):
        return np.percentile([min(math.dist(a * spacing, b * spacing) for b in there) for a in here], 95)

    one, two = (np.array(surface(x)) for x in (mask, other))
    return max(directed(one, two), directed(two, one))


class TestVolumeScores:
    def test_by_hand(self):
        """A bar that is found 4 of 20 planes too long at its front, planes of 2 mm."""
        found = scores(bar(10, 34), bar(10, 30))
        assert found["dice"] == pytest.approx(2 * 20 / (20 + 24))
        assert found["volume_error"] == found["volume_bias"] == pytest.approx(20)
        assert found["true_mm3"] == 20 * 9 * 6
        # Of 194 surface voxels, nine lie 8 mm beyond the true end, then eight 6 mm; place 0.95 * 193 is one of these.
        assert found["hd95"] == pytest.approx(6)
        assert [found[name] for name in TENTHS[:9]] == [1.0] * 9
        assert found["dice_y10"] == pytest.approx(2 * 2 / (2 + 6))

    def test_less_is_a_negative_bias(self):
        found = scores(bar(20, 30), bar(10, 30))
        assert (found["volume_error"], found["volume_bias"]) == (50, -50)
        assert [found[name] for name in TENTHS] == [0.0] * 5 + [1.0] * 5

    def test_nothing_found(self):
        found = scores(0 * bar(), bar())
        assert math.isnan(found["hd95"])
        assert (found["dice"], found["volume_bias"], found["dice_y1"]) == (0, -100, 0)

    def test_a_short_structure_has_no_dice_between_its_planes(self):
        found = scores(bar(10, 12), bar(10, 12))
        assert [math.isnan(found[name]) for name in TENTHS] == [False] + [True] * 8 + [False]
        assert scores(bar(10, 11), bar(10, 11))["dice_y1"] == 1

    def test_labels_that_are_not_scored_count_as_background(self):
        found = bar()
        found[3, 10:20] = 7
        assert scores(found, bar())["dice"] < 1
        assert volume_scores(bar(), bar(), [], affine=AFFINE, to_mni=AFFINE) == {}

    def test_a_structure_that_the_truth_lacks_is_an_error(self):
        with pytest.raises(ValueError, match="label 5"):
            scores(bar(), 0 * bar())

    @pytest.mark.parametrize("order", [(1, 0, 2), (2, 0, 1)])
    def test_storage_makes_no_difference(self, order):
        truth, found = bar(), np.roll(bar(12, 30), 1, axis=2)
        stored = [np.flip(x.transpose(order), (0, 2)) for x in (found, truth)]
        flips = np.eye(4)
        for axis in (0, 2):
            flips[axis, axis], flips[axis, 3] = -1, stored[0].shape[axis] - 1
        affine = AFFINE[:, [*order, 3]] @ flips
        assert (to_ras(stored[1], affine)[0] == truth).all()
        assert scores(*stored, affine) == scores(found, truth)

    def test_the_ends_are_those_along_y_of_mni(self):
        """A head that was turned in the scanner has its front where MNI152 has it."""
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_euler("z", 90, degrees=True).as_matrix()
        truth, found = (x.transpose(1, 0, 2) for x in (bar(), bar(10, 28)))
        turned = scores(found, truth, np.eye(4), turn)
        assert (turned["dice_y10"], turned["dice_y1"]) == (0, 1)
        assert scores(found, truth, np.eye(4))["dice_y1"] < 1

    @settings(max_examples=25, deadline=None)
    @given(arrays.arrays(bool, (5, 4, 6)), arrays.arrays(bool, (5, 4, 6)), st.sampled_from([(1, 1, 3), (0.8, 2, 1)]))
    def test_surface_distance_is_what_the_definition_says(self, mask, other, spacing):
        if mask.any() and other.any():
            assert hd95(mask, other, spacing) == pytest.approx(plain_hd95(mask, other, np.array(spacing)))
